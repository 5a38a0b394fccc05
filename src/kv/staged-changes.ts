import { assert } from '../base/assert.ts';
import type { ByteString } from '../base/bytes.ts';
import type { ChangeLayer, KeyedChange, KvChange } from './overlay.ts';

/**
 * Changes above a durable table, in two generations: those staged since the last checkpoint began, and those that a
 * checkpoint is making durable right now. The newer hides the older, and both hide the table.
 */
export class StagedChanges<Layer extends ChangeLayer> {
  readonly #makeLayer: () => Layer;
  #active: Layer;
  #frozen: Layer | undefined;

  constructor(makeLayer: () => Layer) {
    this.#makeLayer = makeLayer;
    this.#active = makeLayer();
  }

  /** About how many bytes are staged and in no checkpoint yet. */
  get bytes(): number {
    return this.#active.bytes;
  }

  /** About how many bytes of memory that takes. */
  get memoryBytes(): number {
    return this.#active.memoryBytes;
  }

  /** Of how many keys a change is staged and in no checkpoint yet. */
  get count(): number {
    return this.#active.size;
  }

  /** The newest change of `key`: `null` if deleted, `undefined` if the table decides. */
  get(key: ByteString): KvChange | undefined {
    const change = this.#active.get(key);
    return change === undefined ? this.#frozen?.get(key) : change;
  }

  set(key: ByteString, change: KvChange): void {
    this.#active.set(key, change);
  }

  /** What {@link mergeRange} merges, newest first, without the table. */
  scans(from: ByteString, prefix: ByteString): Iterator<KeyedChange>[] {
    const scans = [this.#active.scan(from, prefix)];
    if (this.#frozen !== undefined) scans.push(this.#frozen.scan(from, prefix));
    return scans;
  }

  /** What is staged, the older generation first. The newer one goes on changing: copy it. */
  generations(): readonly Layer[] {
    return this.#frozen === undefined ? [this.#active] : [this.#frozen, this.#active];
  }

  /** A checkpoint begins: everything staged becomes the frozen generation, which is returned. */
  freeze(): Layer {
    assert(this.#frozen === undefined, 'a checkpoint began while another was under way');
    this.#frozen = this.#active;
    this.#active = this.#makeLayer();
    return this.#frozen;
  }

  /** The checkpoint is durable, and the table has what was frozen. */
  thaw(): void {
    this.#frozen = undefined;
  }

  /** Forgets everything. */
  clear(): void {
    this.#active = this.#makeLayer();
    this.#frozen = undefined;
  }
}
