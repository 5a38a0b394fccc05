/** `omnikv/omnipaxos`: sequence consensus by itself. Sans I/O, nothing of Node. See README.md beside this file. */
export { InvariantError } from '../base/assert.ts';
export { type Ballot, bottomBallot, compareBallots, type NodeId } from './ballot.ts';
export {
  BallotLeaderElection,
  type BallotLeaderElectionOptions,
  type ElectionView,
} from './ballot-leader-election.ts';
export type { OmniPaxosOptions } from './configuration.ts';
export type { Entry, NormalEntry, StopSign, StopSignEntry } from './entry.ts';
export { MemorySequence, MemoryStore } from './memory-store.ts';
export type * from './messages.ts';
export { OmniPaxos, type ProposeResult } from './omnipaxos.ts';
export { majority, type QuorumSizes, quorumProblem } from './quorum.ts';
export type { ReadyRead } from './read-index.ts';
export type { PaxosState, Sequence, Store } from './storage.ts';
export type { CatchUpTarget } from './sync.ts';
