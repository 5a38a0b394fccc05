import { type Configuration, historyOf } from '../../cluster/configuration.ts';
import { stopSignOf } from '../../cluster/stop-sign.ts';
import type { NodeId } from '../../omnipaxos/ballot.ts';
import type { StopSign } from '../../omnipaxos/entry.ts';
import { majority } from '../../omnipaxos/quorum.ts';
import type { Peers } from './peers.ts';

/** Election timeouts in which a leader in office that has the StopSign and a quorum has surely decided it once more. */
const timeoutsToDecideAgain = 4;
/** Election timeouts that it is out of office after that: to catch up takes rounds to nodes of which some may not answer. */
const timeoutsAway = 16;

/**
 * When a member that was told of a later configuration, and has not reached its StopSign in the log, gives up its vote in its own. As
 * long as it may, it keeps that: others may need it, with what it accepted, to decide the StopSign (once more).
 *
 * Mostly it reaches the StopSign by the log and goes over by applying it. This is for when it cannot.
 */
export class Leaving {
  readonly #present: Configuration;
  readonly #nodeId: NodeId;
  readonly #peers: Peers;
  readonly #electionTimeoutTicks: number;
  #announced: Configuration | undefined;
  /** The first behind the present one that it was told of. */
  #nearest: Configuration | undefined;
  /** Since when it may be deciding the StopSign once more as a leader in office. */
  #sinceTick = 0;
  #awayUntilTick = 0;

  /** `present`: the configuration in which node `nodeId` votes. */
  constructor(present: Configuration, nodeId: NodeId, peers: Peers, electionTimeoutTicks: number) {
    this.#present = present;
    this.#nodeId = nodeId;
    this.#peers = peers;
    this.#electionTimeoutTicks = electionTimeoutTicks;
  }

  /** The latest configuration that this node was told of. */
  get announced(): Configuration | undefined {
    return this.#announced;
  }

  /** What it was told of that is behind configuration `configurationId`: the first and the latest. */
  behind(configurationId: number): Configuration[] {
    const told = [this.#nearest, this.#announced].filter((configuration) => configuration !== undefined);
    return told.filter((configuration) => configuration.configurationId > configurationId);
  }

  /** It is told of a later one. */
  onAnnounce(configuration: Configuration, tick: number): void {
    const { configurationId } = configuration;
    if (configurationId < (this.#nearest?.configurationId ?? Number.POSITIVE_INFINITY)) this.#nearest = configuration;
    if ((this.#announced?.configurationId ?? 0) >= configurationId) return;
    this.#announced = configuration;
    this.#sinceTick = tick;
  }

  /**
   * The StopSign of the present configuration, if that is all that is lacking below `decidedIndex`: to be told of the next configuration
   * is to know it, and that it is decided. Without this the last one who has the log could wait for ever for a quorum to decide it again.
   */
  toDecideAt(decidedIndex: number): StopSign | undefined {
    const nearest = this.#nearest;
    const isNext = nearest?.configurationId === this.#present.configurationId + 1;
    return isNext && nearest.startIndex === decidedIndex + 1 ? stopSignOf(nearest) : undefined;
  }

  /** The configuration to take up now as a leader in office, whose log must not change under its ballot: no quorum is left to need it. */
  get toEnterAsLeader(): Configuration | undefined {
    return this.#mayDecideAgain ? undefined : this.#nearest;
  }

  /** To be called on every tick. */
  tick(isInOffice: boolean, tick: number): void {
    if (!isInOffice) this.#sinceTick = tick;
  }

  /**
   * True for a leader in office that did not get as far as to decide the StopSign once more: it may be one of the past, which has other entries in
   * its place, and whose followers have left, or one whose followers promise and have no room to accept. It is to go out of office for a
   * while, so that it may take over what is decided elsewhere. What it accepted it keeps: others may need that.
   */
  mustGoAway(tick: number): boolean {
    if (tick - this.#sinceTick <= this.#electionTimeoutTicks * timeoutsToDecideAgain) return false;
    this.#awayUntilTick = tick + this.#electionTimeoutTicks * timeoutsAway;
    return true;
  }

  /** True if it would be back in office at once, as nobody else is asked for a promise: then there is nobody who needs it there either. */
  get isAlone(): boolean {
    const { members, quorum } = this.#present;
    return (quorum ?? majority(members.length)).prepare === 1;
  }

  /** True for that while. After it this node may lead once more: the one who knows more may be gone. */
  isAway(tick: number): boolean {
    return tick < this.#awayUntilTick;
  }

  /**
   * The configuration to take up now though the state from there is not here yet, and the way by the log to the StopSign is gone: nobody
   * needs this vote any more. Either something is decided behind the StopSign of the latest, below `decidedElsewhere`: then a quorum of that has it
   * all. Or no quorum is left to use it: then the vote may be needed in the next one still, so it goes no further than it has to.
   */
  toEnterWithoutState(decidedElsewhere: number): Configuration | undefined {
    if (decidedElsewhere > (this.#announced?.startIndex ?? 0)) return this.#announced;
    return this.#mayDecideAgain ? undefined : this.#nearest;
  }

  /**
   * The configuration to take up with the state at `index`, if that is from behind the StopSign of the one that it votes in: such a state
   * must not be a voter's. To be asked only when all of that state is here and durable: until then others may need this vote.
   */
  toEnterWith(index: number): Configuration | undefined {
    if (this.#announced === undefined) return undefined;
    const nextId = this.#present.configurationId + 1;
    const next = historyOf(this.#announced).find(({ configurationId }) => configurationId === nextId);
    // Of a past that is too long nobody knows where the own one ended.
    return next === undefined || index >= next.startIndex ? this.#announced : undefined;
  }

  /**
   * The same for one that lacks what was decided before the present one, too, and so has no vote in it yet: those who are left may have to decide the StopSign once
   * more, and be no quorum without it. Its log begins at `trimmedIndex`: a StopSign that is in it opens the next configuration by being applied, which may be another one
   * than this node was told of.
   */
  toEnterBeforeVoting(trimmedIndex: number, decidedElsewhere: number): Configuration | undefined {
    return this.toEnterWithoutState(decidedElsewhere) ?? this.toEnterWith(trimmedIndex);
  }

  /**
   * A quorum of the present configuration, with this node, was not heard in a later one yet. Who was heard has the later one on its disk,
   * and all that was decided before: nobody says a word of a configuration before that, and the first to leave leave with all of it.
   */
  get #mayDecideAgain(): boolean {
    const { configurationId, members, quorum } = this.#present;
    const hasLeft = (id: NodeId) => id !== this.#nodeId && this.#peers.knows(id, configurationId + 1);
    const left = members.filter(({ id }) => !hasLeft(id));
    return left.length >= (quorum ?? majority(members.length)).accept;
  }
}
