import type { KvStateMachine } from '../../kv/state-machine.ts';
import type { NodeId } from '../../omnipaxos/ballot.ts';
import type { DonorQuery, SnapshotRequest } from '../../wire/peer-message.ts';
import type { SpaceMeasured } from '../events.ts';
import type { LogStore } from '../log-store.ts';
import type { Output } from '../output.ts';
import type { StateKeeper } from '../state/state-keeper.ts';
import type { Answer, DecidedLog, Donor, WorkRequest } from './donor.ts';
import { type DonorLoad, outpacing } from './donor-budget.ts';

/** Most turns in a row in which work for those who catch up is put off, however busy they are. */
const turnsPutOffMax = 4;
/** Most pieces of work in a turn, however small they are. */
const answersPerTurnMax = 64;

/** What another node that catches up may ask for. */
export type DonorRequest = DonorQuery | SnapshotRequest | WorkRequest;

/** What giving works with: the parts of its node, each of which the node has one of. */
export interface DonorServiceParts {
  readonly donor: Donor;
  readonly machine: KvStateMachine;
  readonly keeper: StateKeeper;
  readonly store: LogStore;
  readonly output: Output;
}

/** This node as one who gives what is decided, log or state, to those who lack it; when in a turn it does, and when it stops. */
export class DonorService {
  readonly #donor: Donor;
  readonly #machine: KvStateMachine;
  readonly #keeper: StateKeeper;
  readonly #store: LogStore;
  readonly #output: Output;
  readonly #log: DecidedLog;
  readonly #pieceBytes: number;
  /** Turns in a row in which work was put off. */
  #turnsPutOff = 0;

  /** `pieceBytes`: about what one piece of work comes to. */
  constructor({ donor, machine, keeper, store, output }: DonorServiceParts, pieceBytes: number) {
    this.#donor = donor;
    this.#machine = machine;
    this.#keeper = keeper;
    this.#store = store;
    this.#output = output;
    this.#log = decidedLogOf(store);
    this.#pieceBytes = pieceBytes;
  }

  /** Takes a request. It is answered at once, or where that takes work by `serve`; a snapshot maybe by `reached` or `tick`. */
  take(from: NodeId, request: DonorRequest, isLeader: boolean): void {
    switch (request.type) {
      case 'DonorQuery':
        return this.#send(this.#standing(from, isLeader));
      case 'SnapshotRequest':
        return this.#hold(from, request.index);
      default:
        return this.#donor.take(from, request);
    }
  }

  /**
   * One piece of work a turn, so that clients never wait long; and rather in a turn of its own, since what a turn has for others
   * leaves at its end. Nothing in a turn that is busy otherwise, for some turns. A turn that has applied `appliedBytes`, which come to more than a piece,
   * takes long in any case: it has as much for those who catch up, and some more, or they would never come to the end. True if there is more to do at once.
   */
  serve(isTurnBusy: boolean, appliedBytes: number): boolean {
    if (!this.#donor.hasWork) return false;
    const bytesDue = appliedBytes * outpacing;
    if (isTurnBusy && bytesDue < this.#pieceBytes && this.#turnsPutOff < turnsPutOffMax) {
      this.#turnsPutOff++;
      return true;
    }
    this.#turnsPutOff = 0;
    const { givenBytes } = this.#donor;
    const answersMax = bytesDue < this.#pieceBytes ? 1 : answersPerTurnMax;
    let answers = 0;
    do {
      const answer = this.#donor.serve(this.#log);
      if (answer === undefined) break;
      this.#send(answer);
      answers++;
    } while (answers < answersMax && this.#donor.givenBytes - givenBytes < bytesDue);
    return this.#donor.hasWork;
  }

  /** To be called whenever entries were applied, or a state was installed. */
  reached(): void {
    this.#sendAll(this.#donor.reached());
  }

  /** To be called on every tick. */
  tick(load: DonorLoad): void {
    this.#sendAll(this.#donor.tick(load));
  }

  /** The less room there is on the disk, the less is kept for those who catch up. */
  onSpace(measured: SpaceMeasured): void {
    if (measured.isWaiting) this.#donor.makeRoomOnDisk();
    if (measured.level !== 'ok') this.#donor.letGoOfLog();
    const losers = this.#donor.onSpace(measured);
    if (losers.length > 0) this.#output.notice('warn', tooSlow(losers));
  }

  #sendAll(answers: readonly Answer[]): void {
    for (const answer of answers) this.#send(answer);
  }

  /** What is given carries this node's configuration, so that the taker can tell what may lie in it. */
  #send({ to, payload }: Answer): void {
    this.#output.send(to, this.#store.configuration?.configurationId ?? 0, payload);
  }

  #standing(to: NodeId, isLeader: boolean): Answer {
    const { decidedIndex, trimmedIndex } = this.#log;
    const { appliedIndex } = this.#machine;
    return { to, payload: { type: 'DonorStanding', decidedIndex, appliedIndex, trimmedIndex, isLeader } };
  }

  #hold(to: NodeId, index: number): void {
    // The state is being replaced: whoever asks does so again.
    if (this.#keeper.isInstalling) return;
    const payload = this.#donor.hold(to, index);
    if (payload) this.#send({ to, payload });
  }
}

function tooSlow(takers: readonly NodeId[]): string {
  return `the state is taken too slowly by node ${takers.join(', ')}: the changes kept for it take too much room, so the transfer begins anew`;
}

function decidedLogOf({ sequence, state }: LogStore): DecidedLog {
  return {
    get decidedIndex(): number {
      return state.decidedIndex;
    },
    get trimmedIndex(): number {
      return sequence.trimmedIndex;
    },
    read: (from, to, bytesMax) => sequence.read(from, to, bytesMax),
  };
}
