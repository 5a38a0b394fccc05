import type { NodeId } from '../../omnipaxos/ballot.ts';
import type { PeerPayload } from '../../wire/peer-message.ts';
import type { ReplicaSettings } from '../settings.ts';
import type { Answer } from './donor.ts';
import type { Donors } from './donors.ts';
import { requestsPerDonorMax } from './outstanding-requests.ts';

/** What is pulled in pieces from several donors: how much of it was asked for and has not come. */
export interface StripedTransfer {
  /** Pieces, of all donors and of one. */
  readonly outstanding: number;
  outstandingOf(donor: NodeId): number;
  /** How many of one donor there may be. */
  windowOf(donor: NodeId): number;
  /** Ticks that its last answer took. */
  answerTicksOf(donor: NodeId): number;
}

/** How much of what may wait for answers of a donor does at most when it is asked for more: several in one frame cost both sides much less than one by one. */
const lowPart = 1 / 2;
/**
 * Where values are large, each is an answer: fewer are asked for at once of a donor whose answers take long, or are not known yet, by their size, but
 * always two. All that is under way is in front of what is decided meanwhile.
 */
const bytesPerSlowDonorMax = 2 * 1024 * 1024;
/** What more than the usual number of requests, of a donor that is far away, may bring. */
const bytesPerFarDonorMax = 4 * 1024 * 1024;
const requestsPerDonorMin = 2;
const quickTicks = 10;
/** Answers that are so many times as large as a message should be may take so many times as long, and those of whom none is known yet. */
const patienceFactorMax = 8;

/** How what is lacking is divided among the donors that have it: to whoever is free, but to the leader no more than an equal share of the bytes. */
export class Striping {
  readonly #donors: Donors;
  readonly #settings: ReplicaSettings;

  constructor(donors: Donors, settings: ReplicaSettings) {
    this.#donors = donors;
    this.#settings = settings;
  }

  /**
   * Gives the `holders` work in turn, as long as any takes more; `next` makes a request of a piece, if there is one for that donor. A leader's share is that
   * of one among `sharers`.
   */
  stripe(
    holders: readonly NodeId[],
    sharers: number,
    transfer: StripedTransfer,
    next: (donor: NodeId) => PeerPayload | undefined,
  ): Answer[] {
    const donors = this.#donors
      .usable(holders)
      .filter((id) => transfer.outstandingOf(id) <= transfer.windowOf(id) * lowPart);
    const requests: Answer[] = [];
    for (let isGiven = true; isGiven; ) {
      isGiven = false;
      for (const to of donors) {
        if (!this.#mayAsk(to, sharers, transfer)) continue;
        const payload = next(to);
        if (!payload) continue;
        requests.push({ to, payload });
        isGiven = true;
      }
    }
    return requests;
  }

  /** Ticks that a donor may take to answer: more where its answers are large. */
  patienceOf(donor: NodeId): number {
    const answerBytes = this.#donors.answerBytesOf(donor);
    const factor = answerBytes === 0 ? patienceFactorMax : answerBytes / this.#settings.catchUpBytesMax;
    return this.#settings.donorTimeoutTicks * Math.min(Math.max(factor, 1), patienceFactorMax);
  }

  #mayHaveMore(donor: NodeId, outstanding: number, transfer: StripedTransfer): boolean {
    const answerBytes = this.#donors.answerBytesOf(donor);
    if (answerBytes === 0) return false;
    if (outstanding >= requestsPerDonorMax && (outstanding + 1) * answerBytes > bytesPerFarDonorMax) return false;
    return (outstanding + 1) * answerBytes <= bytesPerSlowDonorMax || transfer.answerTicksOf(donor) <= quickTicks;
  }

  #mayAsk(donor: NodeId, sharers: number, transfer: StripedTransfer): boolean {
    const outstanding = transfer.outstandingOf(donor);
    if (outstanding >= transfer.windowOf(donor)) return false;
    if (outstanding >= requestsPerDonorMin && !this.#mayHaveMore(donor, outstanding, transfer)) return false;
    // Whatever the share of a leader: what others do not give must come from it.
    if (!this.#donors.isLeader(donor) || sharers === 1 || transfer.outstanding === 0) return true;
    // With what it owes it must not come to more than an equal share.
    const bytesMax = this.#settings.catchUpBytesMax;
    const all = this.#donors.bytes + (transfer.outstanding + 1) * bytesMax;
    return this.#donors.bytesOf(donor) + (outstanding + 1) * bytesMax <= all / sharers;
  }
}
