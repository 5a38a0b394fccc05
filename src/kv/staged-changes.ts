import { assert } from '../base/assert.ts';
import type { ByteString } from '../base/bytes.ts';
import { type ChangeLayer, type KeyedChange, mergeRange, rangeStart, type StagedChange } from './overlay.ts';
import type { KvPage, KvRange, KvRecord, SessionChange, StagedSizes } from './state-store.ts';

/** What is durable: the pairs below all changes. */
export interface DurablePairs {
  get(key: ByteString): KvRecord | undefined;
  /** Pairs at or above `from`, in byte order; ends when `prefix` no longer fits. */
  scan(from: ByteString, prefix: ByteString): Iterator<KeyedChange>;
}

/** Changes that one checkpoint makes durable, up to an applied index. */
export interface SealedChanges<Layer extends ChangeLayer> {
  readonly layer: Layer;
  readonly appliedIndex: number;
  readonly sessions: readonly SessionChange[];
}

/**
 * Changes above a durable table, in layers: those staged since the last was sealed; the sealed ones that wait for a checkpoint of
 * their own; and the one that a checkpoint is making durable right now. The newer hides the older, and all hide the table.
 */
export class StagedChanges<Layer extends ChangeLayer> implements StagedSizes {
  readonly #makeLayer: () => Layer;
  #active: Layer;
  /** The oldest first; that of the checkpoint under way, if there is one, before all. */
  #sealed: SealedChanges<Layer>[] = [];
  #isWriting = false;

  constructor(makeLayer: () => Layer) {
    this.#makeLayer = makeLayer;
    this.#active = makeLayer();
  }

  get bytes(): number {
    return this.#active.bytes;
  }

  get memoryBytes(): number {
    return this.#active.memoryBytes;
  }

  get changes(): number {
    return this.#active.size;
  }

  get sealedLayers(): number {
    return this.#sealed.length - (this.#isWriting ? 1 : 0);
  }

  get sealedMemoryBytes(): number {
    let bytes = 0;
    for (let at = this.#isWriting ? 1 : 0; at < this.#sealed.length; at++) {
      bytes += (this.#sealed[at] as SealedChanges<Layer>).layer.memoryBytes;
    }
    return bytes;
  }

  /** The record of `key` with all changes made to `table`. */
  get(key: ByteString, table: DurablePairs): KvRecord | undefined {
    const change = this.#changeOf(key);
    return change === undefined ? table.get(key) : (change ?? undefined);
  }

  /** Lists `range` with all changes made to `table`. */
  range(range: KvRange, table: DurablePairs): KvPage {
    const start = rangeStart(range);
    const scans = this.layers().map((layer) => layer.scan(start, range.prefix));
    return mergeRange(range, [...scans.reverse(), table.scan(start, range.prefix)]);
  }

  set(key: ByteString, change: StagedChange): void {
    this.#active.set(key, change);
  }

  /** What is staged, the oldest layer first. The newest one goes on changing: copy it. */
  layers(): Layer[] {
    return [...this.#sealed.map(({ layer }) => layer), this.#active];
  }

  /** Changes of sessions in the sealed layers, the oldest first. */
  sessions(): (readonly SessionChange[])[] {
    return this.#sealed.map(({ sessions }) => sessions);
  }

  /** Everything staged since the last seal becomes a layer of its own; what is staged from now on belongs to the next. */
  seal(appliedIndex: number, sessions: readonly SessionChange[]): void {
    this.#sealed.push({ layer: this.#active, appliedIndex, sessions });
    this.#active = this.#makeLayer();
  }

  /** A checkpoint of the oldest sealed layer begins. */
  beginWrite(): SealedChanges<Layer> {
    assert(!this.#isWriting, 'a checkpoint began while another was under way');
    const [oldest] = this.#sealed;
    assert(oldest !== undefined, 'a checkpoint began, but nothing was sealed');
    this.#isWriting = true;
    return oldest;
  }

  /** The checkpoint is durable, and the table has what was written. */
  endWrite(): void {
    this.#sealed.shift();
    this.#isWriting = false;
  }

  /** Forgets everything. */
  clear(): void {
    this.#active = this.#makeLayer();
    this.#sealed = [];
    this.#isWriting = false;
  }

  /** The newest change of `key`: `null` if deleted, `undefined` if the table decides. */
  #changeOf(key: ByteString): StagedChange | undefined {
    let change = this.#active.get(key);
    for (let at = this.#sealed.length - 1; change === undefined && at >= 0; at--) {
      change = (this.#sealed[at] as SealedChanges<Layer>).layer.get(key);
    }
    return change;
  }
}
