import type { NodeId } from '../../omnipaxos/ballot.ts';
import type { DonorStanding } from '../../wire/peer-message.ts';

/** What a donor said of itself. */
export type Standing = Omit<DonorStanding, 'type'>;

interface DonorRecord {
  standing: Standing;
  bytes: number;
  /** Bytes of the answers that came last: of the largest, and less with each smaller one since. */
  answerBytes: number;
  /** How often in a row it did not answer. */
  strikes: number;
  /** How often it gave what did not fit its checksum. */
  damages: number;
  suspendedTicks: number;
}

const strikesToLoseShare = 3;
/** Most strikes that make a suspension longer. */
const strikesMax = 8;

/** Those that a node catches up from: what each has, gave, and is worth. */
export class Donors {
  readonly #entries = new Map<NodeId, DonorRecord>();
  readonly #suspensionTicks: number;

  /** A donor is passed over for so many ticks for each strike in a row. */
  constructor(suspensionTicks: number) {
    this.#suspensionTicks = suspensionTicks;
  }

  heard(id: NodeId, standing: Standing): void {
    const entry = this.#entries.get(id);
    if (entry) entry.standing = standing;
    else this.#entries.set(id, { standing, bytes: 0, answerBytes: 0, strikes: 0, damages: 0, suspendedTicks: 0 });
  }

  standingOf(id: NodeId): Standing | undefined {
    return this.#entries.get(id)?.standing;
  }

  /** A donor told more of itself while it gave something. */
  update(id: NodeId, change: Partial<Standing>): void {
    const entry = this.#entries.get(id);
    if (entry) entry.standing = { ...entry.standing, ...change };
  }

  gave(id: NodeId, bytes: number): void {
    const entry = this.#entries.get(id);
    if (!entry) return;
    entry.bytes += bytes;
    entry.answerBytes = Math.max(bytes, (entry.answerBytes * 3) / 4);
    entry.strikes = 0;
    if (entry.damages === 0) entry.suspendedTicks = 0;
  }

  /** What it gave does not fit its checksum: whatever else it gives, it is passed over for longer each time. */
  gaveDamaged(id: NodeId): void {
    const entry = this.#entries.get(id);
    if (!entry) return;
    entry.damages = Math.min(strikesMax, entry.damages + 1);
    entry.suspendedTicks = this.#suspensionTicks * strikesMax * entry.damages;
  }

  /** It did not answer in time. */
  strike(id: NodeId): void {
    const entry = this.#entries.get(id);
    if (!entry) return;
    entry.strikes = Math.min(strikesMax, entry.strikes + 1);
    entry.suspendedTicks = Math.max(entry.suspendedTicks, this.#suspensionTicks * entry.strikes);
  }

  tick(): void {
    for (const entry of this.#entries.values()) if (entry.suspendedTicks > 0) entry.suspendedTicks--;
  }

  /** Those of `ids` that were heard and are not passed over; all that were heard if none else is left. A leader comes last. */
  usable(ids: readonly NodeId[]): NodeId[] {
    const known = ids.filter((id) => this.#entries.has(id)).sort((a, b) => this.#rank(a) - this.#rank(b) || a - b);
    const sound = known.filter((id) => this.#entries.get(id)?.suspendedTicks === 0);
    return sound.length > 0 ? sound : known;
  }

  /** How many of `ids` are expected to give their share: one that is passed over for the first time or two comes back. */
  sharers(ids: readonly NodeId[]): number {
    const isExpected = (id: NodeId): boolean => {
      const entry = this.#entries.get(id);
      return entry !== undefined && entry.damages === 0 && entry.strikes < strikesToLoseShare;
    };
    return Math.max(1, ids.filter(isExpected).length);
  }

  isLeader(id: NodeId): boolean {
    return this.#entries.get(id)?.standing.isLeader ?? false;
  }

  bytesOf(id: NodeId): number {
    return this.#entries.get(id)?.bytes ?? 0;
  }

  /** How large its next answer may be, as the last ones were; 0 before the first. */
  answerBytesOf(id: NodeId): number {
    return this.#entries.get(id)?.answerBytes ?? 0;
  }

  get bytes(): number {
    let bytes = 0;
    for (const entry of this.#entries.values()) bytes += entry.bytes;
    return bytes;
  }

  /** Who gave how much, in the order of ids. */
  given(): { readonly id: NodeId; readonly bytes: number }[] {
    return [...this.#entries].map(([id, { bytes }]) => ({ id, bytes })).sort((a, b) => a.id - b.id);
  }

  #rank(id: NodeId): number {
    return this.isLeader(id) ? 1 : 0;
  }
}
