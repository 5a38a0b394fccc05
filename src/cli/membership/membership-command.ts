import * as Flags from '@oclif/core/flags';
import { timeoutMsMax } from '../../wire/limits.ts';
import { parseDurationMs } from '../arguments/duration.ts';
import { ClientCommand, type ClientFlags } from '../client-command.ts';
import { changeMembers } from './change-members.ts';
import type { Target } from './target.ts';

interface MembershipFlags extends ClientFlags {
  readonly json: boolean;
  readonly yes: boolean;
  readonly force: boolean;
  readonly 'dry-run': boolean;
  readonly 'no-wait': boolean;
  readonly 'wait-timeout': string;
  readonly progress: boolean;
}

/** What the help of every command that changes members says. */
export const membershipHelp =
  'First it looks whether the change is sound. It stops if a newcomer does not answer, has data of another cluster or runs ' +
  'another version, if there is no leader, or if no majority of the next members would take part: --force does not change ' +
  'that. It stops also if a member that stays does not answer, has lost its data directory or is still catching up: there ' +
  '--force goes on. Then it shows what changes, asks where there is a terminal, has every newcomer get all data while the ' +
  'members are as they were, changes them, and waits until the newcomers vote. Stopped before, it has changed nothing; from ' +
  'when it is decided the change stands, whatever becomes of the command.';

/** How long is waited for data to get to where it is needed, once the change is decided or before it is proposed. */
export function waitTimeoutFlag(description: string) {
  return Flags.string({ helpValue: 'TIME', default: '10m', description });
}

/** What that flag says, milliseconds. Throws {@link InputError}. */
export function waitTimeoutMsOf(flags: { readonly 'wait-timeout': string }): number {
  return parseDurationMs(flags['wait-timeout'], '--wait-timeout', 1, timeoutMsMax);
}

/** A command that changes the members of a cluster, in one reconfiguration. */
export abstract class MembershipCommand extends ClientCommand {
  static override baseFlags = {
    ...ClientCommand.baseFlags,
    yes: Flags.boolean({ description: 'do not ask' }),
    force: Flags.boolean({ description: 'go on though a member that stays is down or incomplete' }),
    'dry-run': Flags.boolean({ description: 'look and show what would change, but change nothing' }),
    'no-wait': Flags.boolean({
      description: 'change the members at once and return; newcomers get all data as members',
    }),
    'wait-timeout': waitTimeoutFlag(
      'how long newcomers may take to get all data (--timeout: the change to be decided)',
    ),
    progress: Flags.boolean({
      dependsOn: ['json'],
      description: 'with --json: write an event a line while it goes on, and the result as the last one',
    }),
  };
  protected override readonly fallbackTimeoutMs = 30_000;

  /** Makes the members what `target` says. */
  protected async change(flags: MembershipFlags, target: Target): Promise<void> {
    const waitTimeoutMs = waitTimeoutMsOf(flags);
    await this.withClient(flags, (session) =>
      changeMembers(session, target, {
        isForced: flags.force,
        isDryRun: flags['dry-run'],
        mayAsk: !flags.yes,
        waitTimeoutMs: flags['no-wait'] ? undefined : waitTimeoutMs,
        output: flags.progress ? 'events' : flags.json ? 'json' : 'text',
      }),
    );
  }
}
