import type { Configuration } from '../../cluster/configuration.ts';
import type { StateStore } from '../../kv/state-store.ts';
import { Log } from '../../omnipaxos/log.ts';
import { CatchUp } from '../catch-up/catch-up.ts';
import type { LogStore } from '../log-store.ts';
import type { ReplicaSettings } from '../settings.ts';
import type { StateKeeper } from '../state/state-keeper.ts';
import type { Mode } from './mode.ts';

/** When this node's catching up begins and ends, and what is lacking then. What it asks for and is given meanwhile, see {@link Recipient}. */
export class CatchUpControl {
  readonly #logStore: LogStore;
  readonly #stateStore: StateStore;
  readonly #keeper: StateKeeper;
  readonly #settings: ReplicaSettings;

  constructor(store: LogStore, state: StateStore, keeper: StateKeeper, settings: ReplicaSettings) {
    this.#logStore = store;
    this.#stateStore = state;
    this.#keeper = keeper;
    this.#settings = settings;
  }

  /** For a node that does not vote: all below `targetIndex` is wanted. */
  upTo(targetIndex: number): CatchUp {
    return new CatchUp(new Log<Uint8Array>(this.#logStore, 0), this.#stateStore, this.#settings, targetIndex);
  }

  /**
   * A member catches up when its consensus says so, or when it was told of a later configuration. Returns one that is to be
   * taken up at once: the way by the log to its StopSign is gone, and nobody needs the vote in the present one any more.
   */
  follow(mode: Mode & { name: 'member' }): Configuration | undefined {
    // A leader in office knows best what is decided in its configuration.
    const announced = mode.voter.paxos.isLeaderInAcceptPhase ? undefined : mode.leaving.announced;
    const targetIndex = Math.max(mode.voter.paxos.catchUpTarget?.index ?? 0, announced?.startIndex ?? 0);
    if (targetIndex <= this.#logStore.state.decidedIndex) {
      if (!this.#keeper.isInstalling && !this.#goesOnWhileItAsks(mode)) mode.catchUp = undefined;
      return undefined;
    }
    if (mode.catchUp) mode.catchUp.retarget(targetIndex);
    else mode.catchUp = new CatchUp(mode.voter.paxos, this.#stateStore, this.#settings, targetIndex);
    if (!announced || !mode.catchUp.needsState || this.#keeper.isInstalling) return undefined;
    // The vote is kept until the state from there has come, unless nobody needs it any more.
    return mode.leaving.toEnterWithoutState(mode.catchUp.decidedElsewhere);
  }

  /**
   * At its goal a follower asks the leader to go on with it, which takes two round trips. Where much is decided meanwhile it would lack too much
   * again by then, each time, if nothing were pulled.
   */
  #goesOnWhileItAsks({ voter, catchUp }: Mode & { name: 'member' }): boolean {
    const { phase } = voter.paxos;
    return (phase === 'recover' || phase === 'promised') && catchUp?.isComplete === false;
  }
}
