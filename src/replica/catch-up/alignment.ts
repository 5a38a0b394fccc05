import type { NodeId } from '../../omnipaxos/ballot.ts';
import type { SnapshotOffer } from '../../wire/peer-message.ts';
import type { ReplicaSettings } from '../settings.ts';
import type { Answer } from './donor.ts';

/** What is to be done next: wait, send requests, or begin with a snapshot that these donors hold; or nobody can. */
export type AlignmentStep =
  | { readonly type: 'waits' }
  | { readonly type: 'asks'; readonly requests: Answer[] }
  | { readonly type: 'aligned'; readonly offer: SnapshotOffer; readonly holders: readonly NodeId[] }
  | { readonly type: 'failed' };

/** After so many indexes one donor is enough. */
const patientAttempts = 6;
/** After so many, who could be a donor is asked anew. */
const attemptsMax = 10;
/** Ticks until a request is repeated: it or its answer may be lost. */
const repeatTicks = 3;

/**
 * Finds an index at which several donors hold a snapshot. Those who apply entries all the time have passed an index before they are
 * asked to stop there: the next one tried lies as far ahead as they went meanwhile, twice.
 */
export class Alignment {
  readonly #settings: ReplicaSettings;
  /** Indexes to try first. */
  readonly #first: number[];
  readonly #applied = new Map<NodeId, number>();
  #index: number | undefined;
  #attempts = 0;
  #ticks = 0;
  #highest = 0;
  #askedTick = new Map<NodeId, number>();
  #offers = new Map<NodeId, SnapshotOffer>();

  constructor(first: readonly number[], settings: ReplicaSettings) {
    this.#first = [...first];
    this.#settings = settings;
  }

  /** A donor, and how far it has applied. */
  heard(donor: NodeId, appliedIndex: number): void {
    this.#applied.set(donor, appliedIndex);
  }

  tick(): void {
    this.#ticks++;
  }

  onOffer(from: NodeId, offer: SnapshotOffer): void {
    this.heard(from, offer.appliedIndex);
    if (offer.index === this.#index) this.#offers.set(from, offer);
  }

  advance(linked: readonly NodeId[]): AlignmentStep {
    const donors = linked.filter((id) => this.#applied.has(id));
    if (donors.length === 0) return { type: 'failed' };
    if (this.#index === undefined) this.#tryNext();
    const held = [...this.#offers].filter(([id, { isHeld }]) => isHeld && donors.includes(id));
    const isAnswered = donors.every((id) => this.#offers.has(id));
    const isOver = isAnswered || this.#ticks >= this.#settings.donorTimeoutTicks;
    const isEnough = held.length >= Math.min(2, donors.length) || this.#attempts >= patientAttempts || !isAnswered;
    const offer = held[0]?.[1];
    // Those who hold it and are a little late may join afterwards.
    const isTime = isOver || this.#ticks >= 2 * repeatTicks;
    if (offer && isEnough && isTime) return { type: 'aligned', offer, holders: held.map(([id]) => id) };
    if (isOver) {
      if (this.#attempts >= attemptsMax) return { type: 'failed' };
      this.#tryNext();
    }
    return this.#ask(donors);
  }

  #tryNext(): void {
    const highest = Math.max(...this.#applied.values());
    // A donor that was started again may have fallen back behind the last time.
    const ahead = this.#highest === 0 ? 0 : Math.max(0, 2 * (highest - this.#highest));
    const first = this.#first.shift();
    if (first === undefined) this.#highest = highest;
    this.#index = first ?? highest + ahead;
    this.#attempts++;
    this.#ticks = 0;
    this.#askedTick = new Map();
    this.#offers = new Map();
  }

  #ask(donors: readonly NodeId[]): AlignmentStep {
    const index = this.#index as number;
    const due = donors.filter((id) => {
      const asked = this.#askedTick.get(id);
      return !this.#offers.has(id) && (asked === undefined || this.#ticks - asked >= repeatTicks);
    });
    if (due.length === 0) return { type: 'waits' };
    for (const id of due) this.#askedTick.set(id, this.#ticks);
    return { type: 'asks', requests: due.map((to) => ({ to, payload: { type: 'SnapshotRequest', index } })) };
  }
}
