import { setFlagsFromString } from 'node:v8';

/** By how much of what is alive V8's heap may grow before its old generation is collected. */
const growingPercent = 70;
/** V8's own rule: up to four times. */
const asEver = 0;

/**
 * Has V8 collect the old generation of this process sooner than it would. It goes by the size of its own heap; what received frames hold
 * outside of that is several times as much, and stays until the few bytes of each that are inside are collected.
 * But for a node that catches up: it receives so much that it would do little else.
 * For a process that does nothing but run a node: the setting is of the whole process.
 */
export class HeapGrowth {
  #percent: number | undefined;

  /** To be called often. `isBackground`: this process does nothing but catch up. */
  tick(isBackground: boolean): void {
    const percent = isBackground ? asEver : growingPercent;
    if (percent === this.#percent) return;
    this.#percent = percent;
    setFlagsFromString(`--heap-growing-percent=${percent}`);
  }
}
