import type { KvStateMachine } from '../../kv/state-machine.ts';
import type { NodeId } from '../../omnipaxos/ballot.ts';
import type { DonorQuery, SnapshotRequest } from '../../wire/peer-message.ts';
import type { LogStore } from '../log-store.ts';
import type { StateKeeper } from '../state/state-keeper.ts';
import type { Answer, DecidedLog, Donor, WorkRequest } from './donor.ts';
import { outpacing } from './donor-budget.ts';

/** Most turns in a row in which work for those who catch up is put off, however busy they are. */
const turnsPutOffMax = 4;
/** Most pieces of work in a turn, however small they are. */
const answersPerTurnMax = 64;

/** What another node that catches up may ask for. */
export type DonorRequest = DonorQuery | SnapshotRequest | WorkRequest;

/** This node as one who gives what is decided, log or state, to those who lack it; and when in a turn it does. */
export class DonorService {
  readonly #donor: Donor;
  readonly #machine: KvStateMachine;
  readonly #keeper: StateKeeper;
  readonly #log: DecidedLog;
  readonly #pieceBytes: number;
  /** Turns in a row in which work was put off. */
  #turnsPutOff = 0;

  /** `pieceBytes`: about what one piece of work comes to. */
  constructor(donor: Donor, machine: KvStateMachine, keeper: StateKeeper, store: LogStore, pieceBytes: number) {
    this.#donor = donor;
    this.#pieceBytes = pieceBytes;
    this.#machine = machine;
    this.#keeper = keeper;
    this.#log = decidedLogOf(store);
  }

  /** The answer to a request, if there is one at once. What takes work gets it from `serve`, a snapshot maybe from the donor later. */
  take(from: NodeId, request: DonorRequest, isLeader: boolean): Answer | undefined {
    switch (request.type) {
      case 'DonorQuery':
        return this.#standing(from, isLeader);
      case 'SnapshotRequest':
        return this.#snapshot(from, request.index);
      default:
        this.#donor.take(from, request);
        return undefined;
    }
  }

  /**
   * One piece of work a turn, so that clients never wait long; and rather in a turn of its own, since what a turn has for others
   * leaves at its end. Nothing in a turn that is busy otherwise, for some turns. A turn that has applied `appliedBytes`, which come to more than a piece,
   * takes long in any case: it has as much for those who catch up, and some more, or they would never come to the end.
   */
  serve(isTurnBusy: boolean, appliedBytes: number): Answer[] {
    if (!this.#donor.hasWork) return [];
    const bytesDue = appliedBytes * outpacing;
    if (isTurnBusy && bytesDue < this.#pieceBytes && this.#turnsPutOff < turnsPutOffMax) {
      this.#turnsPutOff++;
      return [];
    }
    this.#turnsPutOff = 0;
    const answers: Answer[] = [];
    const answersMax = bytesDue < this.#pieceBytes ? 1 : answersPerTurnMax;
    const { givenBytes } = this.#donor;
    do {
      const answer = this.#donor.serve(this.#log);
      if (answer === undefined) break;
      answers.push(answer);
    } while (answers.length < answersMax && this.#donor.givenBytes - givenBytes < bytesDue);
    return answers;
  }

  #standing(to: NodeId, isLeader: boolean): Answer {
    const { decidedIndex, trimmedIndex } = this.#log;
    const { appliedIndex } = this.#machine;
    return { to, payload: { type: 'DonorStanding', decidedIndex, appliedIndex, trimmedIndex, isLeader } };
  }

  #snapshot(to: NodeId, index: number): Answer | undefined {
    // The state is being replaced: whoever asks does so again.
    if (this.#keeper.isInstalling) return undefined;
    const payload = this.#donor.hold(to, index);
    return payload && { to, payload };
  }
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
