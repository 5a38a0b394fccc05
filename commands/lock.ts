import { isUtf8 } from 'node:buffer';
import { hostname } from 'node:os';
import * as Args from '@oclif/core/args';
import * as Flags from '@oclif/core/flags';
import { argumentBytes } from '../src/cli/arguments/argument-bytes.ts';
import { parseDurationMs } from '../src/cli/arguments/duration.ts';
import { splitCommand } from '../src/cli/child/child-command.ts';
import { runUnderLock } from '../src/cli/child/run-under-lock.ts';
import { ClientCommand, type Session } from '../src/cli/client-command.ts';
import { ttlMsMax, ttlMsMin } from '../src/client/input.ts';
import { toldTimeout } from '../src/client/options.ts';
import { InputError } from '../src/cluster/input-error.ts';
import { timeoutMsMax } from '../src/wire/limits.ts';

const usage = 'kv lock NAME -- COMMAND [ARGUMENT…]';

export default class Lock extends ClientCommand {
  static override summary = 'Run a command while holding a lock.';
  static override description =
    'One process holds the lock of a NAME at a time; those who wait get it in the order in which they came. It goes when the command ends, or --ttl after its ' +
    'holder has died or lost the cluster. A command that still runs then, and all that it has started, has got SIGTERM a sixth of that time before, and SIGKILL at its end, and the exit code is 1; ' +
    'else it is that of the command. A process that hangs ' +
    'may take itself for the holder when it no longer is: KV_LOCK_REVISION, which only grows, lets what the command writes to refuse it; \'kv transact --if "$KV_LOCK_KEY=$KV_LOCK_REVISION" …\' changes keys only while the lock is held.';
  static override examples = [
    '<%= config.bin %> lock deploy -- make release',
    '<%= config.bin %> lock nightly --wait 1s -- ./backup.sh   # exits with 4 if another host does it',
    '<%= config.bin %> list lock/deploy/ --json   # who holds it (the lowest revision), and who waits',
  ];
  static override args = {
    name: Args.string({
      required: true,
      ignoreStdin: true,
      description: 'name of the lock; its keys stand below lock/NAME/',
    }),
  };
  static override usage =
    'lock NAME [--wait TIME] [--ttl TIME] [--config FILE] [--endpoints HOST:PORT,…] -- COMMAND [ARGUMENT…]';
  static override flags = {
    wait: Flags.string({
      helpValue: 'TIME',
      description:
        'how long to wait for it: then exit code 4 where another holds it, 5 where no majority says who does; without it, as long as it takes',
    }),
    ttl: Flags.string({
      helpValue: 'TIME',
      default: '15s',
      description: 'how long it stays without a sign of its holder, at least 1s',
    }),
  };

  override async run(): Promise<void> {
    const { own, command } = splitCommand(this.argv, usage);
    const { args, flags } = await this.parse(Lock, own);
    if (command === undefined) throw new InputError(`the COMMAND is missing: ${usage}`);
    const name = checkedLockName(args.name);
    const waitMs = flags.wait === undefined ? undefined : parseDurationMs(flags.wait, '--wait', 1, timeoutMsMax);
    const ttlMs = parseDurationMs(flags.ttl, '--ttl', ttlMsMin, ttlMsMax);
    const value = `process ${process.pid} on ${hostname()}`;
    const untilMs = performance.now() + (waitMs ?? timeoutMsMax);
    const run = ({ client }: Session) => {
      const leftMs = Math.max(1, Math.ceil(untilMs - performance.now()));
      const waiting = waitMs && { waitMs: leftMs, [toldTimeout]: waitMs };
      return runUnderLock(client, { name, ttlMs, value, ...waiting }, command);
    };
    process.exitCode = await this.withClient(flags, run, waitMs ?? timeoutMsMax);
  }
}

/** All bytes that are no UTF-8 look alike here: names that differ in them alone would be one lock. */
function checkedLockName(name: string): string {
  const bytes = argumentBytes(name, 'NAME');
  if (typeof bytes === 'string' || isUtf8(bytes)) return name;
  throw new InputError('the NAME has bytes that are no UTF-8: a lock is named by a text');
}
