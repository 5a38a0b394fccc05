import type { MemberStatus } from '../../client/members/cluster-status.ts';
import type { CatchUpStatus, LackOfRoom } from '../../wire/client-message.ts';

/** What the meter needs to know of a node. */
export type NewcomerStatus = Pick<MemberStatus, 'id' | 'state' | 'configurationId' | 'decidedIndex' | 'catchUp'>;

interface Measured {
  readonly members: readonly NewcomerStatus[];
}

/** How far a newcomer is: what a `progress` event tells of it. */
export interface NewcomerProgress {
  readonly id: number;
  /** `null`: it does not answer now. */
  readonly state: MemberStatus['state'] | null;
  readonly stage: CatchUpStatus['stage'] | null;
  readonly bytesReceived: number;
  readonly bytesTotal: number | null;
  readonly decidedIndex: number | null;
  readonly fromIndex: number | null;
  readonly targetIndex: number | null;
  readonly donors: CatchUpStatus['donors'];
  /** `null`: there is enough, or it does not say. */
  readonly lackOfRoom: LackOfRoom | null;
  readonly isComplete: boolean;
}

/** How far all newcomers together are. */
export interface CatchUpProgress {
  readonly newcomers: readonly NewcomerProgress[];
  readonly bytesReceived: number;
  /** `null` where a newcomer does not know yet how much there is. */
  readonly bytesTotal: number | null;
  readonly bytesPerSecond: number;
  /** 0 to 1; `null` while nothing is known. */
  readonly share: number | null;
  readonly secondsLeft: number | null;
}

interface Sample {
  readonly atMs: number;
  readonly bytes: number;
  readonly share: number | undefined;
}

/** Rates are of the last so many milliseconds. */
const windowMs = 3000;

/**
 * Makes rates, and the time that is left, out of what newcomers say of themselves from time to time. What they have received counts from the first
 * measurement on: a newcomer itself begins to count anew when it becomes a member, or begins its state anew.
 */
export class CatchUpMeter {
  #ids: readonly number[] = [];
  #configurationId = 0;
  readonly #last = new Map<number, NewcomerProgress>();
  /** What each said last that it has received, and what it had before it began to count anew. */
  readonly #counts = new Map<number, { readonly said: number; readonly earlier: number }>();
  #samples: Sample[] = [];

  /** From now on these are measured, until they vote in this configuration. */
  watch(ids: readonly number[], configurationId: number): void {
    this.#ids = ids;
    this.#configurationId = configurationId;
  }

  /** Takes in what the nodes said at `nowMs`. */
  measure(status: Measured, nowMs: number): CatchUpProgress {
    const newcomers = this.#ids.map((id) => this.#progressOf(id, status));
    for (const newcomer of newcomers) this.#last.set(newcomer.id, newcomer);
    const bytesReceived = sum(newcomers.map((one) => one.bytesReceived));
    const share = shareOf(newcomers);
    this.#samples = [
      ...this.#samples.filter(({ atMs }) => nowMs - atMs <= windowMs),
      { atMs: nowMs, bytes: bytesReceived, share },
    ];
    const totals = newcomers.map((one) => one.bytesTotal);
    return {
      newcomers,
      bytesReceived,
      bytesTotal: totals.includes(null) ? null : sum(totals as number[]),
      bytesPerSecond: Math.max(0, Math.round(this.#slope((sample) => sample.bytes) ?? 0)),
      share: share ?? null,
      secondsLeft: this.#secondsLeft(share),
    };
  }

  #progressOf(id: number, status: Measured): NewcomerProgress {
    const member = status.members.find((one) => one.id === id);
    const before = this.#last.get(id);
    const catchUp = member?.catchUp;
    const isComplete = member?.state === 'member' && (member.configurationId ?? 0) >= this.#configurationId;
    const earlier = this.#earlierBytes(id, catchUp?.bytesReceived);
    // Once it votes it tells no more of its way: what it told last stands.
    const bytesReceived = catchUp === undefined ? (before?.bytesReceived ?? 0) : earlier + catchUp.bytesReceived;
    const told = catchUp?.bytesTotal === undefined ? before?.bytesTotal : earlier + catchUp.bytesTotal;
    const bytesTotal = isComplete ? bytesReceived : told && Math.max(told, bytesReceived);
    return {
      id,
      state: member?.state ?? null,
      stage: catchUp?.stage ?? null,
      bytesReceived,
      bytesTotal: bytesTotal ?? null,
      decidedIndex: member?.decidedIndex ?? null,
      fromIndex: catchUp?.fromIndex ?? before?.fromIndex ?? null,
      targetIndex: catchUp?.targetIndex ?? before?.targetIndex ?? null,
      donors: catchUp?.donors ?? before?.donors ?? [],
      lackOfRoom: catchUp?.lackOfRoom ?? null,
      isComplete,
    };
  }

  #earlierBytes(id: number, said: number | undefined): number {
    const { said: before, earlier } = this.#counts.get(id) ?? { said: 0, earlier: 0 };
    if (said === undefined) return earlier;
    const count = { said, earlier: said < before ? earlier + before : earlier };
    this.#counts.set(id, count);
    return count.earlier;
  }

  #secondsLeft(share: number | undefined): number | null {
    const perSecond = this.#slope((sample) => sample.share);
    if (share === undefined || perSecond === undefined || perSecond <= 0) return null;
    return Math.ceil((1 - share) / perSecond);
  }

  /** Per second, over the samples that are kept. */
  #slope(of: (sample: Sample) => number | undefined): number | undefined {
    const known = this.#samples.filter((sample) => of(sample) !== undefined);
    const first = known[0];
    const last = known.at(-1);
    if (first === undefined || last === undefined || last.atMs <= first.atMs) return undefined;
    return (((of(last) as number) - (of(first) as number)) * 1000) / (last.atMs - first.atMs);
  }
}

/** The mean of what each has of what it needs: of its bytes where it knows how many, else of its log. */
function shareOf(newcomers: readonly NewcomerProgress[]): number | undefined {
  const shares = newcomers.map(shareOfOne);
  if (shares.every((share) => share === undefined)) return undefined;
  return sum(shares.map((share) => share ?? 0)) / shares.length;
}

function shareOfOne(newcomer: NewcomerProgress): number | undefined {
  const { bytesReceived, bytesTotal, decidedIndex, fromIndex, targetIndex } = newcomer;
  if (newcomer.isComplete) return 1;
  if (bytesTotal !== null && bytesTotal > 0) return Math.min(1, bytesReceived / bytesTotal);
  if (decidedIndex === null || fromIndex === null || targetIndex === null || targetIndex <= fromIndex) return undefined;
  return Math.min(1, Math.max(0, (decidedIndex - fromIndex) / (targetIndex - fromIndex)));
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
