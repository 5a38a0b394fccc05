import { KeyHistory, type Placeable } from './key-history.ts';

/*
 * Is there one order of all operations that explains every result, in which each operation lies between its invocation and
 * its return? Keys are independent, so each is a register of its own and is checked alone.
 *
 * The search is Wing and Gong's with Lowe's memory of the states already seen, made fast by what is special about a
 * register. Each rule keeps a valid order if there is one; each is an exchange argument:
 *
 * - A read of the present value is placed as soon as it may be: it changes nothing.
 * - While nobody is left to read the present value, the writes of a value together with all reads of it are placed as one
 *   block as soon as all of them may be: the block leaves behind what nobody reads, as it found it. The value must have
 *   one write only, or no readers at all (then each of its writes is such a block).
 * - A write of unknown outcome matters only if it is read: it is placed right before a read of its value, or never.
 * - Of several writes of one value the one that has to be placed first is taken.
 * - The present value is not overwritten while someone has to read it and no write is left that could bring it back.
 *
 * With distinct values hardly anything is left to try: thousands of operations by 64 clients on one key take a fraction of a
 * second. With values that are written again and again a wrong history may be too hard to decide (the problem is NP-complete):
 * after `statesMax` states the check gives up with an error instead of a verdict. So let a test write distinct values.
 */

/** How many states are looked at before the check of a key gives up. */
const statesMax = 1_000_000;

/** An operation of a history. Times are on one clock, in whatever unit; those that touch count as concurrent. */
export interface Operation {
  readonly type: 'put' | 'delete' | 'get';
  readonly key: string;
  /** What was put, or what was got: `undefined` if there was nothing. */
  readonly value?: string | undefined;
  readonly invoked: number;
  /**
   * `undefined`: the outcome is unknown. A write may take effect at any time after its invocation, or never; a get says
   * nothing. Operations that are known not to have been applied do not belong into a history.
   */
  readonly returned: number | undefined;
  /** Who did it, for explanations. */
  readonly client?: string | number;
}

export type Verdict =
  | { readonly ok: true }
  | { readonly ok: false; readonly key: string; readonly explanation: string };

/** Checks that the operations, in any order given, are linearizable. Every key has nothing at the start. */
export function checkHistory(operations: readonly Operation[]): Verdict {
  for (const [key, ofKey] of byKey(operations)) {
    const explanation = explainKey(ofKey);
    if (explanation !== undefined) return { ok: false, key, explanation };
  }
  return { ok: true };
}

function byKey(operations: readonly Operation[]): Map<string, Operation[]> {
  const groups = new Map<string, Operation[]>();
  for (const operation of operations) {
    const group = groups.get(operation.key);
    if (group === undefined) groups.set(operation.key, [operation]);
    else group.push(operation);
  }
  return groups;
}

function explainKey(operations: readonly Operation[]): string | undefined {
  for (const operation of operations) assertSound(operation);
  const outOfNowhere = findOutOfNowhere(operations);
  if (outOfNowhere !== undefined) return `a value that nobody had written: ${describe(outOfNowhere)}`;
  const history = new KeyHistory(operations);
  return search(history) ? undefined : explain(history, operations.length);
}

/** A read of what had not been written when it returned. */
function findOutOfNowhere(operations: readonly Operation[]): Operation | undefined {
  const firstWritten = new Map<string | undefined, number>();
  for (const { type, value, invoked } of operations) {
    if (type === 'put') firstWritten.set(value, Math.min(invoked, firstWritten.get(value) ?? Infinity));
  }
  return operations.find(({ type, value, returned }) => {
    if (type !== 'get' || value === undefined || returned === undefined) return false;
    return (firstWritten.get(value) ?? Infinity) > returned;
  });
}

/** A point at which one of several writes had to be chosen. */
interface Choice {
  /** How many placements to keep when the next one is tried. */
  readonly placedCount: number;
  readonly candidates: readonly Placeable[];
  next: number;
}

/** True if all operations can be placed. If not, `history.furthest` tells how far it went. */
function search(history: KeyHistory): boolean {
  const seen = new Set<string>();
  const choices: Choice[] = [];
  for (;;) {
    placeForced(history);
    if (history.isComplete) return true;
    const state = history.stateKey();
    if (!seen.has(state)) {
      if (seen.size === statesMax) throw new Error(`undecided after ${statesMax} states: write distinct values`);
      seen.add(state);
      choices.push({ placedCount: history.placedCount, candidates: history.candidates(), next: 0 });
    }
    if (!takeNextChoice(history, choices)) return false;
  }
}

/** Places what can be placed without losing anything. */
function placeForced(history: KeyHistory): void {
  while (history.placeReads() || history.placeBlock());
}

function takeNextChoice(history: KeyHistory, choices: Choice[]): boolean {
  for (let choice = choices.at(-1); choice !== undefined; choice = choices.at(-1)) {
    history.undoTo(choice.placedCount);
    const candidate = choice.candidates[choice.next++];
    if (candidate !== undefined) {
      history.place(candidate);
      return true;
    }
    choices.pop();
  }
  return false;
}

function explain(history: KeyHistory, count: number): string {
  const { placedCount, value, latest, stuck, reader } = history.furthest;
  const list = (items: readonly Placeable[]) => items.map((item) => describe(item.operation)).join(' · ') || 'none';
  const waiting = reader === undefined ? '' : `, which has yet to be read by ${describe(reader.operation)}`;
  return (
    `no order explains the ${count} operations: at most ${placedCount} can be put in order, then the value is ` +
    `${valueText(value)}${waiting}, and none of these can come next: ${list(stuck)} (last in order: ${list(latest)})`
  );
}

function describe({ type, value, invoked, returned, client }: Operation): string {
  const who = client === undefined ? '' : `client ${client} `;
  const what = type === 'delete' ? 'delete' : type === 'put' ? `put ${valueText(value)}` : `get → ${valueText(value)}`;
  return `${who}${what} [${invoked}, ${returned ?? 'unknown'}]`;
}

function valueText(value: string | undefined): string {
  return value === undefined ? 'nothing' : JSON.stringify(value);
}

function assertSound({ type, key, value, invoked, returned }: Operation): void {
  if (returned !== undefined && !(invoked <= returned)) {
    throw new RangeError(`an operation on ${key} returned at ${returned}, before its invocation at ${invoked}`);
  }
  if (type === 'put' && value === undefined) throw new RangeError(`a put on ${key} has no value`);
}
