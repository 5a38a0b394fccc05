import type { Configuration, Opening } from '../../cluster/configuration.ts';
import { type Ballot, bottomBallot, compareBallots } from '../../omnipaxos/ballot.ts';
import type { OpenedWith, PeerHello, PeerMessage } from '../../wire/peer-message.ts';
import type { LogStore } from '../log-store.ts';

/** What a member said of its own disk by voting. */
interface Claim {
  readonly configurationId: number;
  readonly promise: Ballot;
  /** It has the log up to `acceptedIndex` in this round. */
  readonly acceptedRound: Ballot;
  readonly acceptedIndex: number;
}

/**
 * What is known of the openings of the members' directories, so that one that was rolled back to an older copy is not taken
 * for the member it was: it forgot votes that others counted (PROTOCOL: a wiped disk must not come back).
 *
 * - Durably: the newest opening of each member's directory, also as others tell of it. A healthy directory counts each
 *   opening durably before it says hello, so it never says a lower count, nor the same one with another nonce.
 * - As long as this process runs: what each member said is durable on its disk. A copy of a running directory counts on
 *   where it was taken, but has less than that.
 *
 * Not found out: a copy that was opened as often as the directory itself before anybody met it, once the others were restarted.
 */
export class Openings {
  readonly #logStore: LogStore;
  /** By storage id, of members only. */
  readonly #claims = new Map<string, Claim>();

  constructor(store: LogStore) {
    this.#logStore = store;
  }

  /** Why the directory that says `hello` is an older copy, in few words; undefined if nothing says so. */
  olderCopyProblem({ storageId, opened }: PeerHello): string | undefined {
    const known = this.#logStore.openings.find((opening) => opening.storageId === storageId);
    const isSame = known?.incarnation === opened.incarnation && known.nonce === opened.nonce;
    // Within one opening the hello tells of its beginning, so it may well have less than was said since.
    if (isSame) return undefined;
    if (known !== undefined && opened.incarnation <= known.incarnation) {
      return `it comes with opening ${opened.incarnation + 1}, opening ${known.incarnation + 1} was seen here`;
    }
    const claim = this.#claims.get(storageId);
    return claim && isBehind(opened, claim) ? describe(opened, claim) : undefined;
  }

  /**
   * A node said hello and was not refused. If it is a member, what it is and knows of members counts from now on; what others have heard does not:
   * a later opening that never was would keep a member out for good. Stages.
   */
  meet(hello: PeerHello, configuration: Configuration | undefined): void {
    const { storageId, opened, openings } = hello;
    const { incarnation, nonce } = opened;
    if (configuration === undefined || !isMember(configuration, storageId)) return;
    this.#learn([{ storageId, incarnation, nonce }, ...openings], configuration);
  }

  /** The members of `next` count from now on, and nobody else. Stages. */
  enter(next: Configuration, hellos: readonly PeerHello[]): void {
    for (const storageId of this.#claims.keys()) if (!isMember(next, storageId)) this.#claims.delete(storageId);
    // What others tell of a directory comes before what it says of itself, which may be an older copy: of two openings of one count the first is kept.
    const ofMembers = hellos.filter(({ storageId }) => isMember(next, storageId));
    for (const { openings } of ofMembers) this.#learn(openings, next);
    for (const hello of ofMembers) this.meet(hello, next);
    const kept = this.#logStore.openings.filter(({ storageId }) => isMember(next, storageId));
    if (kept.length < this.#logStore.openings.length) this.#logStore.setOpenings(kept);
  }

  /**
   * A member voted in the present configuration: that is on its disk for good. What is remembered of it only ever grows on a
   * healthy disk, so that comparing never hits one:
   *
   * - A configuration is only ever followed by a higher one, and entering it is written before any vote in it.
   * - Within a configuration the promise never goes back, and a Promise and a Prepare leave after its write.
   * - Within a configuration the accepted round never goes back. Within a round the log only grows (`Log.synchronize` drops
   *   nothing there, catch-up keeps what lies behind it), but for one case: a StopSign that is decided ends the log. An
   *   opening whose log ends with a StopSign is therefore not asked for more.
   * - Accepted tells of the log that is durable in its round once it goes beyond the start of the configuration. Followers say it to
   *   their leader, leaders to all.
   */
  heard(from: PeerHello, message: PeerMessage, configuration: Configuration): void {
    const { configurationId, payload } = message;
    if (payload.type !== 'Accepted' && payload.type !== 'Promise' && payload.type !== 'Prepare') return;
    if (configurationId !== configuration.configurationId || !isMember(configuration, from.storageId)) return;
    if (payload.type !== 'Accepted') this.#claim(from.storageId, configurationId, { promise: payload.ballot });
    else if (payload.acceptedIndex > configuration.startIndex) {
      const { ballot, acceptedIndex } = payload;
      this.#claim(from.storageId, configurationId, { acceptedRound: ballot, acceptedIndex });
    }
  }

  #claim(storageId: string, configurationId: number, said: Partial<Claim>): void {
    const before = this.#claims.get(storageId);
    const claim = before?.configurationId === configurationId ? before : { ...nothing, configurationId };
    // Once for each Accepted: without a copy by spreading, which costs several times as much.
    const { promise = claim.promise, acceptedRound = claim.acceptedRound, acceptedIndex = claim.acceptedIndex } = said;
    const next = { configurationId, promise, acceptedRound, acceptedIndex };
    const isHigher = (compareBallots(next.promise, claim.promise) || compareAccepted(next, claim)) > 0;
    if (isHigher || claim !== before) this.#claims.set(storageId, isHigher ? next : claim);
  }

  #learn(heard: readonly Opening[], configuration: Configuration): void {
    const self = this.#logStore.identity.storageId;
    const found = new Map(this.#logStore.openings.map((opening) => [opening.storageId, opening]));
    let hasChanged = false;
    for (const { storageId, incarnation, nonce } of heard) {
      if (storageId === self || !isMember(configuration, storageId)) continue;
      if (incarnation <= (found.get(storageId)?.incarnation ?? -1)) continue;
      found.set(storageId, { storageId, incarnation, nonce });
      hasChanged = true;
    }
    if (hasChanged) this.#logStore.setOpenings([...found.values()]);
  }
}

const nothing: Omit<Claim, 'configurationId'> = {
  promise: bottomBallot,
  acceptedRound: bottomBallot,
  acceptedIndex: 0,
};

function isBehind(opened: OpenedWith, claim: Claim): boolean {
  if (opened.configurationId !== claim.configurationId) return opened.configurationId < claim.configurationId;
  if (compareBallots(opened.promise, claim.promise) < 0) return true;
  const rounds = compareBallots(opened.acceptedRound, claim.acceptedRound);
  if (rounds !== 0) return rounds < 0;
  return opened.endIndex < claim.acceptedIndex && !opened.isSealed;
}

function compareAccepted(a: Claim, b: Claim): number {
  return compareBallots(a.acceptedRound, b.acceptedRound) || a.acceptedIndex - b.acceptedIndex;
}

function describe(opened: OpenedWith, claim: Claim): string {
  if (opened.configurationId < claim.configurationId) {
    return `it comes in configuration ${opened.configurationId}, it voted in ${claim.configurationId}`;
  }
  if (compareBallots(opened.promise, claim.promise) < 0) return 'it has forgotten a promise';
  return `its log ends at ${opened.endIndex}, it had accepted up to ${claim.acceptedIndex}`;
}

function isMember(configuration: Configuration, storageId: string): boolean {
  return configuration.members.some((member) => member.storageId === storageId);
}

/** What `store` held when it was opened: to be asked before anything is staged. */
export function openedWith(store: LogStore): OpenedWith {
  const { incarnation, nonce, configuration, sequence } = store;
  const { promise, acceptedRound } = store.state;
  const { trimmedIndex, endIndex } = sequence;
  const [last] = endIndex > trimmedIndex ? sequence.read(endIndex - 1, endIndex) : [];
  return {
    incarnation,
    nonce,
    configurationId: configuration?.configurationId ?? 0,
    promise,
    acceptedRound,
    endIndex,
    // The StopSign of the configuration before is no end of this one.
    isSealed: last?.type === 'StopSign' && last.stopSign.configId > (configuration?.configurationId ?? 0),
  };
}
