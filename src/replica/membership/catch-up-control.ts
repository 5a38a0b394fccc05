import { formatBytes } from '../../base/byte-size.ts';
import type { Configuration } from '../../cluster/configuration.ts';
import type { StateStore } from '../../kv/state-store.ts';
import type { NodeId } from '../../omnipaxos/ballot.ts';
import { Log } from '../../omnipaxos/log.ts';
import type { LackOfRoom } from '../../wire/client-message.ts';
import { CatchUp } from '../catch-up/catch-up.ts';
import type { Answer } from '../catch-up/donor.ts';
import type { LogStore } from '../log-store.ts';
import type { Output } from '../output.ts';
import type { ReplicaSettings } from '../settings.ts';
import type { StateRoom } from '../state/space.ts';
import type { StateKeeper } from '../state/state-keeper.ts';
import type { Mode } from './mode.ts';

/** This node as one who lacks what is decided and takes it from others: when its catching up begins and ends, and what it asks for. */
export class CatchUpControl {
  readonly #logStore: LogStore;
  readonly #stateStore: StateStore;
  readonly #keeper: StateKeeper;
  readonly #settings: ReplicaSettings;
  readonly #output: Output;

  constructor(store: LogStore, state: StateStore, keeper: StateKeeper, settings: ReplicaSettings, output: Output) {
    this.#logStore = store;
    this.#stateStore = state;
    this.#keeper = keeper;
    this.#settings = settings;
    this.#output = output;
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

  /** What to ask of those who are `linked` now. */
  requests(catchUp: CatchUp, linked: readonly NodeId[], room: StateRoom): Answer[] {
    // What is being installed must not be dropped for the rows of another snapshot.
    if (this.#keeper.isInstalling) return [];
    for (const id of catchUp.takeCorruptDonors()) this.#output.notice('warn', describeDamage(id));
    const requests = catchUp.requests(linked, room);
    const lack = catchUp.takeLackOfRoom();
    if (lack) this.#output.notice('warn', describeLack(lack));
    return requests;
  }
}

function describeDamage(id: NodeId): string {
  return `what node ${id} gave to catch up with does not fit its checksum and was dropped: others are asked first`;
}

function describeLack({ neededBytes, roomBytes }: LackOfRoom): string {
  const needed = formatBytes(neededBytes);
  const room = formatBytes(roomBytes);
  return (
    `no room for the state that is to be caught up with: it takes about ${needed} beside the present one, and ${room} are left: ` +
    'give this node more room, delete keys, or replace it'
  );
}
