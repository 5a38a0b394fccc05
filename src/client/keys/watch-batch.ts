import type { ByteString } from '../../base/bytes.ts';
import type { OwnBytes } from '../call/get-call.ts';

/** A key below a watched prefix that changed: what it is now. */
export type KvChange =
  | { readonly type: 'put'; readonly key: OwnBytes; readonly value: OwnBytes; readonly revision: number }
  /** `revision`: of the delete; if the watch was without a node meanwhile, one at or behind it. */
  | { readonly type: 'delete'; readonly key: OwnBytes; readonly revision: number };

interface Told {
  readonly change: KvChange;
  /** The reader has not been told of this key: if it goes again, there is nothing to tell. */
  readonly isNew: boolean;
}

/** What several answers say, as one: each key once, as the last of them has it, in the order in which they came. */
export class WatchBatch {
  readonly #told = new Map<ByteString, Told>();

  get changes(): KvChange[] {
    return Array.from(this.#told.values(), ({ change }) => change);
  }

  /** `wasKnown`: there was such a key before this change. */
  add(key: ByteString, change: KvChange, wasKnown: boolean): void {
    const isNew = this.#told.get(key)?.isNew ?? !wasKnown;
    this.#told.delete(key);
    if (change.type === 'put' || !isNew) this.#told.set(key, { change, isNew });
  }
}
