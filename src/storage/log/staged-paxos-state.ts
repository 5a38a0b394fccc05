import { type Ballot, compareBallots } from '../../omnipaxos/ballot.ts';
import type { PaxosState } from '../../omnipaxos/storage.ts';

/** The Paxos state in memory, telling of every change before it is made. */
export class StagedPaxosState implements PaxosState {
  readonly #onStage: () => void;
  readonly #onDecide: () => void;
  #promise: Ballot;
  #acceptedRound: Ballot;
  #decidedIndex: number;

  /** `onStage` is told of promise and accepted round, `onDecide` of the decided index; each may throw to refuse it. */
  constructor(initial: PaxosState, onStage: () => void, onDecide: () => void) {
    this.#promise = initial.promise;
    this.#acceptedRound = initial.acceptedRound;
    this.#decidedIndex = initial.decidedIndex;
    this.#onStage = onStage;
    this.#onDecide = onDecide;
  }

  get promise(): Ballot {
    return this.#promise;
  }

  set promise(ballot: Ballot) {
    if (compareBallots(ballot, this.#promise) === 0) return;
    this.#onStage();
    this.#promise = ballot;
  }

  get acceptedRound(): Ballot {
    return this.#acceptedRound;
  }

  set acceptedRound(ballot: Ballot) {
    if (compareBallots(ballot, this.#acceptedRound) === 0) return;
    this.#onStage();
    this.#acceptedRound = ballot;
  }

  get decidedIndex(): number {
    return this.#decidedIndex;
  }

  set decidedIndex(index: number) {
    if (index === this.#decidedIndex) return;
    this.#onDecide();
    this.#decidedIndex = index;
  }
}
