import { randomBytes } from 'node:crypto';
import type { Configuration, Identity, Opening } from '../../cluster/configuration.ts';
import { bottomBallot } from '../../omnipaxos/ballot.ts';
import { MemorySequence } from '../../omnipaxos/memory-store.ts';
import type { PaxosState } from '../../omnipaxos/storage.ts';
import type { LogStore } from '../../replica/log-store.ts';
import { otherClusterError } from '../disk/data-directory-error.ts';

/**
 * The log store in memory: every commit is durable at once, and nothing waits for a flush.
 * For tests, examples and simulation.
 */
export class MemoryLogStore implements LogStore {
  readonly sequence: MemorySequence<Uint8Array> = new MemorySequence();
  readonly state: PaxosState = { promise: bottomBallot, acceptedRound: bottomBallot, decidedIndex: 0 };
  readonly incarnation: number;
  readonly nonce = randomBytes(8).toString('hex');
  readonly hasStagedWrites = false;
  #identity: Identity;
  #configuration: Configuration | undefined;
  #openings: readonly Opening[];
  #writes = 0;

  /** A new store, or with `before` one that goes on where that one ended, as after a restart of the process. */
  constructor(owner: { readonly nodeId: number; readonly storageId: string }, before?: MemoryLogStore) {
    this.#identity = before?.identity ?? { nodeId: owner.nodeId, storageId: owner.storageId, clusterId: undefined };
    this.#configuration = before?.configuration;
    this.#openings = before?.openings ?? [];
    this.incarnation = before === undefined ? 0 : before.incarnation + 1;
    if (before === undefined) return;
    this.sequence.reset(before.sequence.trimmedIndex);
    this.sequence.append(before.sequence.read(before.sequence.trimmedIndex, before.sequence.endIndex));
    Object.assign(this.state, before.state);
  }

  get identity(): Identity {
    return this.#identity;
  }

  get configuration(): Configuration | undefined {
    return this.#configuration;
  }

  get openings(): readonly Opening[] {
    return this.#openings;
  }

  setOpenings(openings: readonly Opening[]): void {
    this.#openings = openings;
  }

  bindCluster(clusterId: string): void {
    const bound = this.#identity.clusterId;
    if (bound !== undefined && bound !== clusterId) throw otherClusterError(bound, clusterId);
    this.#identity = { ...this.#identity, clusterId };
  }

  setConfiguration(configuration: Configuration): void {
    if (configuration.configurationId !== this.#configuration?.configurationId) {
      this.state.promise = bottomBallot;
      this.state.acceptedRound = bottomBallot;
    }
    this.#configuration = configuration;
  }

  stageDecided(): void {}

  commit(): number {
    return ++this.#writes;
  }

  durableWrite(): number {
    return this.#writes;
  }

  flush(): Promise<number> {
    return Promise.resolve(this.#writes);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
