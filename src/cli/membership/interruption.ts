import { constants } from 'node:os';

const signals = ['SIGINT', 'SIGTERM'] as const;

/** What has become of a change of members that is not decided yet, for who ends the command. */
export const fates = {
  untouched: 'the members are as they were',
  open: 'the change was being decided, and may come about: see kv member list',
  decided: (configurationId: number) => `configuration ${configurationId} stands, and goes on without this command`,
};

/**
 * Where a command that changes the members is ended by a signal, it says what has become of the change, and ends with the exit code that shells
 * expect (128 + the signal's number). Of no use any more once `release` was called.
 */
export class Interruption {
  /** See {@link fates}. */
  fate: string = fates.untouched;
  readonly #say: (line: string) => void;

  constructor(say: (line: string) => void) {
    this.#say = say;
    for (const signal of signals) process.once(signal, this.#onSignal);
  }

  release(): void {
    for (const signal of signals) process.removeListener(signal, this.#onSignal);
  }

  readonly #onSignal = (signal: NodeJS.Signals): void => {
    this.#say(`interrupted: ${this.fate}`);
    process.exit(128 + constants.signals[signal]);
  };
}
