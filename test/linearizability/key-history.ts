import type { Operation } from './checker.ts';

/** An operation with its place in the lists of those not yet in the order. */
export interface Placeable {
  readonly operation: Operation;
  /** Position by invocation. */
  readonly id: number;
  readonly isRead: boolean;
  /** Infinity: never has to be placed. */
  readonly returned: number;
  isPlaced: boolean;
}

type Value = string | undefined;

/** What is left to place of one value. */
interface Remaining {
  reads: number;
  /** Writes, those of unknown outcome included. */
  writes: number;
}

interface Link {
  readonly item: Placeable | undefined;
  previous: Link;
  next: Link;
}

/** Items in a fixed order that can be taken out, and put back in the opposite order of taking. */
class LinkedItems {
  readonly #head: Link;
  readonly #links = new Map<Placeable, Link>();

  constructor(items: readonly Placeable[]) {
    const head = { item: undefined } as Link;
    head.previous = head;
    head.next = head;
    this.#head = head;
    for (const item of items) {
      const link: Link = { item, previous: head.previous, next: head };
      head.previous.next = link;
      head.previous = link;
      this.#links.set(item, link);
    }
  }

  get first(): Placeable | undefined {
    return this.#head.next.item;
  }

  remove(item: Placeable): void {
    const link = this.#links.get(item);
    if (link === undefined) return;
    link.previous.next = link.next;
    link.next.previous = link.previous;
  }

  restore(item: Placeable): void {
    const link = this.#links.get(item);
    if (link === undefined) return;
    link.previous.next = link;
    link.next.previous = link;
  }

  *[Symbol.iterator](): Generator<Placeable> {
    for (let link = this.#head.next; link.item !== undefined; link = link.next) yield link.item;
  }
}

/** How far the search went: for an explanation. */
interface Furthest {
  placedCount: number;
  value: Value;
  latest: Placeable[];
  stuck: Placeable[];
  /** Who has yet to read the value. */
  reader: Placeable | undefined;
}

const latestShown = 4;
const stuckShown = 6;

/**
 * The operations on one key, some of them already in the order, the rest still to be placed. An operation may come next
 * if it was invoked before anything that is not placed returned.
 */
export class KeyHistory {
  /** Not placed, by invocation. */
  readonly #byInvocation: LinkedItems;
  /** Not placed and with a known outcome, by return: the first bounds what may come next. */
  readonly #byReturn: LinkedItems;
  readonly #remaining = new Map<Value, Remaining>();
  readonly #placed: { readonly item: Placeable; readonly valueBefore: Value }[] = [];
  #value: Value = undefined;
  readonly furthest: Furthest = { placedCount: -1, value: undefined, latest: [], stuck: [], reader: undefined };

  constructor(operations: readonly Operation[]) {
    const items = placeables(operations);
    this.#byInvocation = new LinkedItems(items);
    const known = items.filter((item) => item.returned !== Infinity);
    this.#byReturn = new LinkedItems(known.sort((a, b) => a.returned - b.returned || a.id - b.id));
    for (const item of items) {
      const remaining = this.#remainingOf(item.operation.value);
      if (item.isRead) remaining.reads++;
      else remaining.writes++;
    }
  }

  /** True if all that must be placed is. */
  get isComplete(): boolean {
    return this.#byReturn.first === undefined;
  }

  get placedCount(): number {
    return this.#placed.length;
  }

  /** Places the reads of the present value that may come next. True if there was one. */
  placeReads(): boolean {
    const countBefore = this.#placed.length;
    for (const item of this.#available()) if (item.isRead && item.operation.value === this.#value) this.place(item);
    return this.#placed.length > countBefore;
  }

  /** Places a write with all reads of its value, if the present value has no reader left. True if there was one to place. */
  placeBlock(): boolean {
    if (this.#remainingOf(this.#value).reads > 0) return false;
    const available = this.#available();
    const readsNow = new Map<Value, number>();
    for (const { isRead, operation } of available) {
      if (isRead) readsNow.set(operation.value, (readsNow.get(operation.value) ?? 0) + 1);
    }
    for (const item of available) {
      if (item.isRead) continue;
      const { value } = item.operation;
      const { reads, writes } = this.#remainingOf(value);
      const isUnread = reads === 0 && item.returned !== Infinity;
      const isWhole = reads > 0 && writes === 1 && readsNow.get(value) === reads;
      if (!isUnread && !isWhole) continue;
      this.place(item);
      return true;
    }
    return false;
  }

  /** The writes that may come next and are worth trying: for each value one, those that have to be placed soonest first. */
  candidates(): Placeable[] {
    const present = this.#remainingOf(this.#value);
    const available = this.#available();
    if (present.reads > 0 && present.writes === 0) return [];
    const readable = new Set(available.filter((item) => item.isRead).map((item) => item.operation.value));
    const best = new Map<Value, Placeable>();
    for (const item of available) {
      const { value } = item.operation;
      if (item.isRead || (item.returned === Infinity && !readable.has(value))) continue;
      const other = best.get(value);
      if (other === undefined || item.returned < other.returned) best.set(value, item);
    }
    const urgency = this.#urgency(available);
    return [...best.values()].sort(
      (a, b) => (urgency.get(a.operation.value) ?? 0) - (urgency.get(b.operation.value) ?? 0),
    );
  }

  place(item: Placeable): void {
    this.#placed.push({ item, valueBefore: this.#value });
    item.isPlaced = true;
    this.#byInvocation.remove(item);
    this.#byReturn.remove(item);
    const remaining = this.#remainingOf(item.operation.value);
    if (item.isRead) remaining.reads--;
    else {
      remaining.writes--;
      this.#value = item.operation.value;
    }
  }

  /** Takes placements back until so many are left. */
  undoTo(placedCount: number): void {
    while (this.#placed.length > placedCount) {
      const { item, valueBefore } = this.#placed.pop() as { item: Placeable; valueBefore: Value };
      item.isPlaced = false;
      this.#byInvocation.restore(item);
      this.#byReturn.restore(item);
      const remaining = this.#remainingOf(item.operation.value);
      if (item.isRead) remaining.reads++;
      else remaining.writes++;
      this.#value = valueBefore;
    }
  }

  /**
   * What the future depends on: the value, and which operations are not placed. Those that may come next tell it, since all
   * that was invoked later is not placed. Takes note of how far the search is.
   */
  stateKey(): string {
    const available = this.#available();
    this.#noteProgress(available);
    const ids = available.map((item) => item.id).join(',');
    return this.#value === undefined ? ids : `${ids}:${this.#value}`;
  }

  /** Not placed, and invoked before anything not placed returned. */
  #available(): Placeable[] {
    const horizon = this.#byReturn.first?.returned ?? Infinity;
    const available: Placeable[] = [];
    for (const item of this.#byInvocation) {
      if (item.operation.invoked > horizon) break;
      available.push(item);
    }
    return available;
  }

  /** For each value the first return among what has to be placed of it. */
  #urgency(available: readonly Placeable[]): Map<Value, number> {
    const urgency = new Map<Value, number>();
    for (const { operation, returned } of available) {
      urgency.set(operation.value, Math.min(returned, urgency.get(operation.value) ?? Infinity));
    }
    return urgency;
  }

  #remainingOf(value: Value): Remaining {
    let remaining = this.#remaining.get(value);
    if (remaining === undefined) {
      remaining = { reads: 0, writes: 0 };
      this.#remaining.set(value, remaining);
    }
    return remaining;
  }

  #noteProgress(available: readonly Placeable[]): void {
    const { furthest } = this;
    if (this.#placed.length <= furthest.placedCount) return;
    furthest.placedCount = this.#placed.length;
    furthest.value = this.#value;
    furthest.latest = this.#placed.slice(-latestShown).map(({ item }) => item);
    furthest.reader = [...this.#byInvocation].find(
      ({ isRead, operation }) => isRead && operation.value === this.#value,
    );
    furthest.stuck = [...available].sort((a, b) => a.returned - b.returned).slice(0, stuckShown);
  }
}

/** What matters of the operations: not a read of unknown outcome, nor such a write whose value nobody reads. */
function placeables(operations: readonly Operation[]): Placeable[] {
  const read = new Set(operations.filter((op) => op.type === 'get' && op.returned !== undefined).map((op) => op.value));
  return operations
    .filter((op) => op.returned !== undefined || (op.type !== 'get' && read.has(valueWritten(op))))
    .sort((a, b) => a.invoked - b.invoked)
    .map((op, id) => ({
      operation: op.type === 'delete' ? { ...op, value: undefined } : op,
      id,
      isRead: op.type === 'get',
      returned: op.returned ?? Infinity,
      isPlaced: false,
    }));
}

function valueWritten(operation: Operation): Value {
  return operation.type === 'delete' ? undefined : operation.value;
}
