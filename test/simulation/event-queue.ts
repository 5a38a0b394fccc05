interface Scheduled {
  readonly timeUs: number;
  readonly order: number;
  readonly run: () => void;
}

/** Virtual time: what is scheduled runs in order of time, then in order of scheduling. */
export class EventQueue {
  #heap: Scheduled[] = [];
  #scheduled = 0;
  #nowUs = 0;
  #ran = 0;

  /** Microseconds since the start. */
  get nowUs(): number {
    return this.#nowUs;
  }

  /** How many events have run. */
  get ran(): number {
    return this.#ran;
  }

  after(delayUs: number, run: () => void): void {
    this.#push({ timeUs: this.#nowUs + Math.max(0, delayUs), order: this.#scheduled++, run });
  }

  /** Runs the next event that is due by `untilUs`; false, and the time is `untilUs`, if there is none. */
  step(untilUs: number): boolean {
    const next = this.#heap[0];
    if (!next || next.timeUs > untilUs) {
      this.#nowUs = Math.max(this.#nowUs, untilUs);
      return false;
    }
    this.#pop();
    this.#nowUs = next.timeUs;
    this.#ran++;
    next.run();
    return true;
  }

  #push(event: Scheduled): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(event);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (isBefore(heap[parent] as Scheduled, event)) break;
      heap[at] = heap[parent] as Scheduled;
      at = parent;
    }
    heap[at] = event;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop() as Scheduled;
    if (heap.length === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1] as Scheduled, heap[child] as Scheduled)) child++;
      if (isBefore(last, heap[child] as Scheduled)) break;
      heap[at] = heap[child] as Scheduled;
      at = child;
    }
    heap[at] = last;
  }
}

function isBefore(a: Scheduled, b: Scheduled): boolean {
  return a.timeUs < b.timeUs || (a.timeUs === b.timeUs && a.order < b.order);
}
