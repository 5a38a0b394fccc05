import { sessionWindowMax } from '../../kv/client-session.ts';

/** Most bytes of keys and values out at a time, if more than one command is. */
const windowBytesMax = 64 * 1024 * 1024;

/** The numbers of one session: counting up, so many out at a time, and below which the client has all answers. */
export class SessionWindow {
  readonly id: number;
  readonly #outstandingMax: number;
  #next = 1;
  #acknowledgedBelow = 1;
  #outstanding = 0;
  #outstandingBytes = 0;
  /** Which of the last `sessionWindowMax` numbers are settled: a ring. */
  readonly #isSettled = new Uint8Array(sessionWindowMax);

  /** `outstandingMax`: most commands without an answer, at most `sessionWindowMax`. */
  constructor(id: number, outstandingMax: number) {
    this.id = id;
    this.#outstandingMax = outstandingMax;
  }

  /** All numbers below are settled: the state machine may forget their outcomes. */
  get acknowledgedBelow(): number {
    return this.#acknowledgedBelow;
  }

  /** Whether one more command of so many bytes may go out. */
  hasRoom(bytes: number): boolean {
    if (this.#outstanding === 0) return true;
    if (this.#outstanding >= this.#outstandingMax || this.#outstandingBytes + bytes > windowBytesMax) return false;
    // One command that takes long must not fall out of the window that the state machine keeps.
    return this.#next < this.#acknowledgedBelow + sessionWindowMax;
  }

  /** The next number, for a command of so many bytes. */
  take(bytes: number): number {
    this.#outstanding++;
    this.#outstandingBytes += bytes;
    const number = this.#next++;
    this.#isSettled[number % sessionWindowMax] = 0;
    return number;
  }

  /** The number will not be sent again: its answer came, or its caller has been told that the outcome is unknown. */
  settle(number: number, bytes: number): void {
    this.#outstanding--;
    this.#outstandingBytes -= bytes;
    this.#isSettled[number % sessionWindowMax] = 1;
    while (this.#acknowledgedBelow < this.#next && this.#isSettled[this.#acknowledgedBelow % sessionWindowMax] === 1) {
      this.#acknowledgedBelow++;
    }
  }
}
