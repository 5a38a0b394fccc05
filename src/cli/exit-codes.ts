import { KvError, type KvErrorCode } from '../client/call/errors.ts';
import { InputError } from '../cluster/input-error.ts';

/**
 * What a command's exit code says: the one table. README.md shows the same one, and a test compares them.
 *
 * Beside these, a command that a second signal ends exits with 130 (SIGINT) or 143 (SIGTERM), as shells expect.
 */
export const exitCodes = {
  done: { code: 0, meaning: 'done' },
  internal: { code: 1, meaning: 'internal: a node or a command broke down, or a data directory is damaged' },
  usage: { code: 2, meaning: 'usage: a flag, an argument, a file, an address or a data directory is not right' },
  notFound: { code: 3, meaning: 'key not found' },
  conditionFailed: {
    code: 4,
    meaning: 'condition failed: the key is at another revision, or another reconfiguration is under way',
  },
  notReached: { code: 5, meaning: 'no majority, or nobody reachable: not applied' },
  unknown: { code: 6, meaning: 'timed out: outcome unknown' },
  refused: { code: 7, meaning: 'refused (auth)' },
  overLimit: { code: 8, meaning: 'over a limit or quota: not applied' },
  diskFailed: { code: 9, meaning: 'a disk failed: the node stopped, and can start again on a good one' },
  incomplete: { code: 10, meaning: 'the members are changed, but a newcomer is not complete in time' },
} as const satisfies Record<string, { code: number; meaning: string }>;

export type ExitName = keyof typeof exitCodes;

/** Where a failed request leads to, as long as its outcome agrees: see {@link exitOfKvError}. */
const exitOfCode = {
  invalid: 'usage',
  tooLarge: 'overLimit',
  noMajority: 'notReached',
  timeout: 'unknown',
  conflict: 'conditionFailed',
  busy: 'overLimit',
  sessionExpired: 'unknown',
  reconfiguring: 'conditionFailed',
  unreachable: 'notReached',
  notKvNode: 'notReached',
  untrusted: 'refused',
  noSpace: 'overLimit',
  closed: 'notReached',
  aborted: 'notReached',
  internal: 'internal',
} as const satisfies Record<KvErrorCode, ExitName>;

/** Refusals of a data directory, by code. */
const exitOfDataDirectory: Readonly<Record<string, ExitName>> = {
  inUse: 'usage',
  otherNode: 'usage',
  otherCluster: 'usage',
  newerFormat: 'usage',
  notWritable: 'usage',
  notEmpty: 'usage',
  absent: 'usage',
  damaged: 'internal',
  unfinished: 'internal',
};

/**
 * Other failures of a node that say themselves, in one line, what is wrong. They are told by name, here and above, so that
 * no command loads the server only to know its errors.
 */
const exitOfNodeError: Readonly<Record<string, ExitName>> = {
  AddressInUseError: 'usage',
  CannotListenError: 'usage',
  BackupFileError: 'usage',
  DamagedError: 'internal',
  DiskFailedError: 'diskFailed',
};

/** What became of the change that was asked for; `applied`: it was made, though the command failed. */
export type CommandOutcome = 'notApplied' | 'unknown' | 'applied';

/** A command that ends with a code of its own choice, with one line for people. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
  readonly exit: ExitName;
  /** For `--json`. */
  readonly code: string;
  readonly outcome: CommandOutcome;

  constructor(exit: ExitName, code: string, message: string, outcome: CommandOutcome = 'notApplied') {
    super(message);
    this.exit = exit;
    this.code = code;
    this.outcome = outcome;
  }
}

/** What a failure is to people, to scripts and to the shell. */
export interface FailureReport {
  readonly exit: ExitName;
  readonly code: string;
  readonly message: string;
  readonly outcome: CommandOutcome;
  /** Of a condition that did not hold: the revision that the key has; 0: there is none. */
  readonly revision?: number | undefined;
  /** Of those of a transaction: which one, counted from 0. */
  readonly condition?: number | undefined;
}

/** What to tell about `error`; `undefined` if nobody planned for it: a defect. */
export function reportOf(error: unknown): FailureReport | undefined {
  if (!(error instanceof Error)) return undefined;
  const { message } = error;
  if (error instanceof KvError)
    return {
      ...{ exit: exitOfKvError(error), code: error.code, message },
      ...{ outcome: error.outcome, revision: error.revision, condition: error.condition },
    };
  if (error instanceof CommandError) return { exit: error.exit, code: error.code, message, outcome: error.outcome };
  if (error instanceof InputError) return { exit: 'usage', code: error.code, message, outcome: 'notApplied' };
  const code = String((error as { code?: unknown }).code);
  const exit = error.name === 'DataDirectoryError' ? exitOfDataDirectory[code] : exitOfNodeError[error.name];
  // A node that stops because of its disk leaves open what becomes of the writes that were under way.
  return exit && { exit, code, message, outcome: exit === 'usage' ? 'notApplied' : 'unknown' };
}

/**
 * Scripts retry on "not applied" and must look first on "outcome unknown". So the outcome rules: no unknown one gets a code
 * that promises *not applied*, and none that had no effect gets 6.
 */
function exitOfKvError(error: KvError): ExitName {
  const exit = exitOfCode[error.code];
  if (exit === 'internal') return exit;
  if (error.outcome === 'unknown') return 'unknown';
  return exit === 'unknown' ? 'notReached' : exit;
}
