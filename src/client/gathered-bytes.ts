import { KvError } from './call/errors.ts';

/** Most bytes of keys and values that one call, or one batch of a watch, gathers. */
const gatheredBytesMax = 256 * 1024 * 1024;

/** The keys and values that a call has gathered so far. */
export class GatheredBytes {
  readonly #remedy: string;
  #bytes = 0;

  /** `remedy`: what to do where it is too much. */
  constructor(remedy: string) {
    this.#remedy = remedy;
  }

  /** Throws a KvError `tooLarge` over {@link gatheredBytesMax}. */
  add({ key, value }: { readonly key: Uint8Array; readonly value: Uint8Array }): void {
    this.#bytes += key.length + value.length;
    if (this.#bytes <= gatheredBytesMax) return;
    const message = `over ${gatheredBytesMax / 2 ** 20} MiB of keys and values: ${this.#remedy}`;
    throw new KvError('tooLarge', message, 'notApplied');
  }
}
