import { constants } from 'node:os';
import { isatty } from 'node:tty';

const stopSignals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
export type StopSignal = (typeof stopSignals)[number];

/**
 * Resolves with the first signal that asks the process to stop. A second one ends it at once, with the exit code that shells
 * expect (128 + its number). Call before anything starts, so that no signal gets lost.
 *
 * A terminal that is closed stops what it shows, or takes words from. Who has none, as under `nohup`, goes on: Node does not keep what `nohup`
 * settled for that signal.
 */
export function stopRequested(onFirst: (signal: StopSignal) => void): Promise<StopSignal> {
  return new Promise((resolve) => {
    let isStopping = false;
    for (const signal of stopSignals) {
      if (signal === 'SIGHUP' && !hasTerminal()) {
        process.on(signal, () => {});
        continue;
      }
      process.on(signal, () => {
        if (isStopping) process.exit(128 + constants.signals[signal]);
        isStopping = true;
        onFirst(signal);
        resolve(signal);
      });
    }
  });
}

/**
 * Goes on where those come that tools for log files send. Node would end at one of them, and open a door for debuggers at the other.
 */
export function ignoreUserSignals(): void {
  for (const signal of ['SIGUSR1', 'SIGUSR2'] as const) process.on(signal, () => {});
}

/** True if a person may see or say something. */
export function hasTerminal(): boolean {
  return isatty(0) || isatty(1) || isatty(2);
}

/** Resolves when standard input ends: whoever started this process with a pipe to it is gone, however it went. */
export function standardInputEnded(): Promise<void> {
  return new Promise((resolve) => {
    process.stdin.once('end', resolve);
    process.stdin.once('error', () => resolve());
    process.stdin.resume();
  });
}

/**
 * Ends the process after a clean stop: with 0, except where the terminal was closed. There Node 20 crashes when it exits as
 * usual (it resets a terminal that is gone), and shells expect the process to have died of the signal.
 */
export function exitAfterStop(signal: StopSignal | undefined): void {
  if (signal !== 'SIGHUP') process.exit();
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
}
