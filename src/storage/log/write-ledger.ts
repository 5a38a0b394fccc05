import { assert } from '../../base/assert.ts';

/**
 * Numbers transitions and knows which are durable. A transition that staged nothing that needs a flush is durable as
 * soon as all before it are.
 */
export class WriteLedger {
  #last = 0;
  #isOpen = false;
  /** First transition that waits for a flush to begin. */
  #waiting: number | undefined;
  /** First transition of the flush under way. */
  #flushing: number | undefined;

  /** True when a flush would write something. */
  get hasStagedWrites(): boolean {
    return this.#isOpen || this.#waiting !== undefined;
  }

  /** Something was staged that needs a flush. */
  stage(): void {
    this.#isOpen = true;
  }

  /** Closes a transition and gives its number. */
  commit(): number {
    this.#last++;
    if (this.#isOpen) this.#waiting ??= this.#last;
    this.#isOpen = false;
    return this.#last;
  }

  durableWrite(): number {
    const pending = this.#flushing ?? this.#waiting;
    return pending === undefined ? this.#last : pending - 1;
  }

  /** A flush of all committed transitions begins; false if there is nothing to write. */
  beginFlush(): boolean {
    assert(this.#flushing === undefined, 'a flush began while another was under way');
    assert(!this.#isOpen, 'a flush began in the middle of a transition: call commit() first');
    this.#flushing = this.#waiting;
    this.#waiting = undefined;
    return this.#flushing !== undefined;
  }

  /** The flush under way is durable. */
  endFlush(): void {
    this.#flushing = undefined;
  }
}
