import { Command } from '@oclif/core/command';
import * as Errors from '@oclif/core/errors';
import * as Flags from '@oclif/core/flags';
import type * as Interfaces from '@oclif/core/interfaces';
import type { ClusterDescription } from '../cluster/cluster-file.ts';
import { findCluster } from '../cluster/find-cluster.ts';
import { InputError } from '../cluster/input-error.ts';
import { membersMax } from '../wire/limits.ts';
import { usageProblem } from './arguments/parse-problem.ts';
import { exitCodes, type FailureReport, reportOf } from './exit-codes.ts';
import { handleOutputErrors, isReaderGone, type OnOutputError, printJson, printMessage } from './output.ts';
import { PromptLeft } from './prompt.ts';

/**
 * What all commands have in common: `--config`, and what becomes of errors. Each ends in one line on standard error, without
 * a stack, and in an exit code of the table in exit-codes.ts; with `--json` also in a JSON document on standard output,
 * `{"error": {"code", "message", "outcome"}}`.
 */
export abstract class BaseCommand extends Command {
  static override baseFlags = {
    config: Flags.string({
      helpValue: 'FILE',
      description: 'cluster file; else KV_CONFIG, else the nearest kv.json at or above the working directory',
    }),
  };

  /** What becomes of the command when its output cannot be written. */
  protected readonly onOutputError: OnOutputError = 'exit';

  /** What to say then of a change that was asked for. */
  protected readonly outputHint: string = '';

  protected override async init(): Promise<void> {
    await super.init();
    handleOutputErrors(this.onOutputError, this.outputHint);
  }

  /** Parses as oclif does, and refuses what a command without arguments was given. Throws {@link InputError}. */
  protected override async parse<
    F extends Interfaces.OutputFlags<Interfaces.FlagInput>,
    B extends Interfaces.OutputFlags<Interfaces.FlagInput>,
    A extends Interfaces.OutputArgs<Interfaces.ArgInput>,
  >(options?: Interfaces.Input<F, B, A>, argv?: string[]): Promise<Interfaces.ParserOutput<F, B, A>> {
    // oclif warns of a command that did not parse its arguments; one that tried has.
    this.parsed = true;
    const takesNone = Object.keys(this.ctor.args ?? {}).length === 0;
    try {
      const parsed = await super.parse(options, argv);
      if (takesNone && parsed.argv.length > 0) throw new InputError(this.#unexpected(String(parsed.argv[0])));
      return parsed;
    } catch (error) {
      throw usageProblem(error, this.#name, !takesNone) ?? error;
    }
  }

  /** The cluster that this command is about. Throws {@link InputError}. */
  protected findCluster(flags: { readonly config?: string | undefined }): ClusterDescription {
    const environment = process.env['KV_CONFIG'];
    return findCluster({ flag: flags.config, environment, directory: process.cwd(), nodesMax: membersMax });
  }

  protected override async catch(error: Error): Promise<void> {
    // --help, and whatever else ends oclif on purpose.
    if (error instanceof Errors.ExitError) throw error;
    if (isReaderGone(error)) return;
    if (error instanceof PromptLeft) process.exitCode = 130;
    else await this.#report(reportOf(error) ?? defectReport(error));
  }

  async #report(report: FailureReport): Promise<void> {
    process.exitCode = exitCodes[report.exit].code;
    printMessage(`kv ${this.#name}: ${report.message}`);
    if (!isJsonAsked(this.argv)) return;
    const { code, message, outcome, revision, condition } = report;
    const at = { ...(revision !== undefined && { revision }), ...(condition !== undefined && { condition }) };
    await printJson({ error: { code, message, outcome, ...at } });
  }

  /** As a person writes it: the id of `kv member add` is member:add. */
  get #name(): string {
    return (this.id ?? '').replaceAll(':', ' ');
  }

  #unexpected(argument: string): string {
    const hint = this.id === 'start' && /^[0-9]+$/.test(argument) ? `: write kv start --id ${argument}` : '';
    return `"${argument}" is one argument too many: kv ${this.#name} takes flags only${hint}`;
  }
}

/** A defect of ours: its stack is the only thing that helps, and the person who meets it can get it. */
function defectReport(error: Error): FailureReport {
  const stack = process.env['KV_STACK'] ? `\n${error.stack}` : ' (KV_STACK=1 shows where)';
  return {
    exit: 'internal',
    code: 'internal',
    message: `internal error: ${error.message}${stack}`,
    outcome: 'unknown',
  };
}

/** The arguments may be what could not be parsed, so this looks at them as they came. */
function isJsonAsked(argv: readonly string[]): boolean {
  const end = argv.indexOf('--');
  return argv.slice(0, end === -1 ? argv.length : end).includes('--json');
}
