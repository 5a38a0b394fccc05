/** Timing and limits of a replica. Ticks are the owner's steps of time; the server makes one every `tickMs` (`ticks.ts`). */
export interface ReplicaSettings {
  /** Ticks of one heartbeat round of the election. */
  readonly electionTimeoutTicks: number;
  /**
   * Ticks that the only first member of a cluster waits on an empty directory before it forms one. Longer than a member of an existing
   * cluster of that name lets pass between two calls to a node that is gone.
   */
  readonly loneFounderTicks: number;
  /**
   * The same of several first members, from when the last of them came: 0 unless others may have taken their places since, and call. With the time
   * that a process takes to start it is longer than a link that was cut looks alive.
   */
  readonly foundersTicks: number;
  /** Ticks between repeats of what may have been lost. */
  readonly resendTicks: number;
  /** Ticks between checkpoints of the state while it changes. */
  readonly checkpointTicks: number;
  /** A checkpoint is made earlier once what is staged takes so many bytes of memory. */
  readonly checkpointBytesMax: number;
  /** Also once it writes so many pages of the disk, unless each would be changed many times if it came later. */
  readonly checkpointPagesMax: number;
  /** Also once so many bytes of that memory hold what later changes have overtaken. */
  readonly checkpointOvertakenBytesMax: number;
  /** A checkpoint is smaller where the disk is, but may always take so much, bytes. */
  readonly smallCheckpointBytes: number;
  /** Entries kept in the log below the last checkpoint, for followers that are a little behind. */
  readonly logTailEntries: number;
  /** Most events waiting for a turn. */
  readonly inboxMax: number;
  /** Most writes of own clients without an answer, and the most bytes of them. */
  readonly pendingWritesMax: number;
  readonly pendingBytesMax: number;
  /** Election timeouts in which no write of own clients came through, from which on one of which nothing is heard may be lost. */
  readonly quietTimeouts: number;
  /** Most reads of own clients without an answer. */
  readonly pendingReadsMax: number;
  /** Most watches of own clients that wait for a change. */
  readonly watchesMax: number;
  /** Changes remembered for them: who asks for more than that gets the state anew. */
  readonly rememberedChangesMax: number;
  /** Most bytes of proposals accepted by a leader and not yet decided. It has room for as much again: half of both is for its own clients, half for the other members. */
  readonly undecidedBytesMax: number;
  /** Most bytes of entries in one AcceptDecide. */
  readonly messageBytesMax: number;
  /** Most bytes of a log suffix in Promise or AcceptSync; who lacks more catches up first. */
  readonly syncBytesMax: number;
  /** Most entries of such a suffix. */
  readonly syncEntriesMax: number;
  /** Most bytes of entries or rows in one message of catch-up. */
  readonly catchUpBytesMax: number;
  /** Most bytes that a donor gives in a tick while it serves clients, to all who catch up together. */
  readonly donorBytesPerTick: number;
  /** A newcomer votes once it lacks no more entries than this of what was decided. */
  readonly voteLagEntries: number;
  /** Entries applied in one turn at the most, so that heartbeats are answered in between. */
  readonly appliedPerTurnMax: number;
  /** Also no more once they came to so many bytes. */
  readonly appliedBytesPerTurnMax: number;
  /** Ticks until a donor that does not answer is passed over. */
  readonly donorTimeoutTicks: number;
  /** Ticks until a donor drops a snapshot that nobody reads. */
  readonly snapshotIdleTicks: number;
  /**
   * Election timeouts in which a new leader whose disk is quick and has room comes into office, or hands the lead on. Over a slow link what it lacks of
   * the log takes many seconds, and each change of the lead has all of it sent anew.
   */
  readonly prepareTimeouts: number;
  /** Ticks between attempts to hand the lead over because of a slow disk. */
  readonly handoverPauseTicks: number;
  /** Leader priority in elections. */
  readonly priority: number;
}

const mebibyte = 1024 * 1024;

export const defaultReplicaSettings: ReplicaSettings = {
  electionTimeoutTicks: 10,
  loneFounderTicks: 75,
  foundersTicks: 0,
  resendTicks: 10,
  checkpointTicks: 1_500,
  checkpointBytesMax: 128 * mebibyte,
  checkpointPagesMax: 8_192,
  checkpointOvertakenBytesMax: 12 * mebibyte,
  smallCheckpointBytes: mebibyte / 4,
  logTailEntries: 100_000,
  inboxMax: 100_000,
  pendingWritesMax: 65_536,
  pendingBytesMax: 64 * mebibyte,
  quietTimeouts: 10,
  pendingReadsMax: 65_536,
  watchesMax: 16_384,
  rememberedChangesMax: 16_384,
  undecidedBytesMax: 8 * mebibyte,
  messageBytesMax: mebibyte,
  syncBytesMax: 32 * mebibyte,
  syncEntriesMax: 131_072,
  catchUpBytesMax: mebibyte / 8,
  donorBytesPerTick: 0.625 * mebibyte,
  voteLagEntries: 1_000,
  appliedPerTurnMax: 20_000,
  appliedBytesPerTurnMax: 4 * mebibyte,
  donorTimeoutTicks: 50,
  snapshotIdleTicks: 1_500,
  prepareTimeouts: 100,
  handoverPauseTicks: 1_500,
  priority: 0,
};
