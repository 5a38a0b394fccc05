import type { NodeId } from './ballot.ts';
import { MemoryStore } from './memory-store.ts';
import type { QuorumSizes } from './quorum.ts';
import { majority, quorumProblem } from './quorum.ts';
import type { Store } from './storage.ts';

/** What an {@link OmniPaxos} replica is made from. Sizes are in what `sizeOf` gives: entries, by default. */
export interface OmniPaxosOptions<T> {
  /** The configuration that this replica is of. Messages of another are refused. */
  readonly configurationId: number;
  /** This node: a positive integer. */
  readonly pid: NodeId;
  /** The other members. */
  readonly peers: readonly NodeId[];
  /** Log and promises. Default: in memory. */
  readonly store?: Store<T>;
  /** First index of this configuration: one past the StopSign of the one before. Default 0. */
  readonly startIndex?: number;
  /** Flexible quorums; default majorities. */
  readonly quorum?: QuorumSizes;
  /** `tick()`s between resends of what may have been lost. Default 5. */
  readonly resendTicks?: number;
  /** Size of an entry. Default: 1 each. */
  readonly sizeOf?: (entry: T) => number;
  /** Most size of one AcceptDecide, and of an AcceptSync beyond what the leader adopted (one entry may exceed it). Default 4,096. */
  readonly messageSizeMax?: number;
  /**
   * Most size of a suffix in Promise, or that AcceptSync begins to bring. A node that lacks more is told so and catches up on decided entries
   * first (`catchUpTarget`). Must exceed `undecidedSizeMax`. Default: no limit.
   */
  readonly syncSizeMax?: number;
  /** Most entries of such a suffix, whatever their size; who lacks more catches up first, as far as it is decided. Default: no limit. */
  readonly syncEntriesMax?: number;
  /** Most size of proposals accepted by the leader and not yet decided; also of proposals held back. Default 1,000,000. */
  readonly undecidedSizeMax?: number;
  /** First id of reads, above all ids used by earlier incarnations of this node. Default 1. */
  readonly firstReadId?: number;
}

/** Options with every default filled in. */
export type ResolvedOptions<T> = Required<OmniPaxosOptions<T>>;

/** Fills in defaults. Throws a RangeError that names what is wrong. */
export function resolveOptions<T>(options: OmniPaxosOptions<T>): ResolvedOptions<T> {
  checkOptions(options);
  const { pid, peers, store } = options;
  checkPeers(peers);
  if (store !== undefined && !isStore(store)) {
    throw new RangeError('store is none: it must have a sequence, a state, commit() and durableWrite()');
  }
  const nodes = [pid, ...peers];
  const problem = nodesProblem(nodes);
  if (problem) throw new RangeError(problem);
  const quorum = options.quorum ?? majority(nodes.length);
  const wrongQuorum = quorumProblem(quorum, nodes.length);
  if (wrongQuorum) throw new RangeError(wrongQuorum);
  // Each by itself: one that is given as undefined has its default, too.
  const resolved: ResolvedOptions<T> = {
    configurationId: options.configurationId,
    pid,
    peers,
    quorum,
    store: store ?? new MemoryStore<T>(),
    startIndex: options.startIndex ?? 0,
    resendTicks: options.resendTicks ?? 5,
    sizeOf: options.sizeOf ?? (() => 1),
    messageSizeMax: options.messageSizeMax ?? 4096,
    syncSizeMax: options.syncSizeMax ?? Number.POSITIVE_INFINITY,
    syncEntriesMax: options.syncEntriesMax ?? Number.POSITIVE_INFINITY,
    undecidedSizeMax: options.undecidedSizeMax ?? 1_000_000,
    firstReadId: options.firstReadId ?? 1,
  };
  if (typeof resolved.sizeOf !== 'function') throw new RangeError('sizeOf is no function of an entry');
  checkWhole('configurationId', resolved.configurationId, 0);
  checkWhole('startIndex', resolved.startIndex, 0);
  checkWhole('resendTicks', resolved.resendTicks, 1);
  checkWhole('firstReadId', resolved.firstReadId, 1);
  for (const name of ['messageSizeMax', 'syncSizeMax', 'syncEntriesMax', 'undecidedSizeMax'] as const) {
    if (!(resolved[name] >= 1)) throw new RangeError(`${name} is ${resolved[name]}, it must be at least 1`);
  }
  if (resolved.syncSizeMax < Number.POSITIVE_INFINITY && resolved.syncSizeMax <= resolved.undecidedSizeMax) {
    throw new RangeError(
      `syncSizeMax ${resolved.syncSizeMax} must exceed undecidedSizeMax ${resolved.undecidedSizeMax}`,
    );
  }
  return resolved;
}

/** Throws a RangeError unless `value` is a whole number of at least `min`. */
export function checkWhole(name: string, value: number, min: number): void {
  if (Number.isSafeInteger(value) && value >= min) return;
  throw new RangeError(`${name} is ${shown(value)}, it must be a whole number of at least ${min}`);
}

/** Throws a RangeError for options that are none. */
export function checkOptions(options: object): void {
  if (typeof options === 'object' && options !== null) return;
  throw new RangeError(`the options are ${shown(options)}: give { configurationId, pid, peers }`);
}

/** Throws a RangeError unless it is a list. */
export function checkPeers(peers: readonly NodeId[]): void {
  if (!Array.isArray(peers))
    throw new RangeError(`peers is ${shown(peers)}, it must be a list of the other members' ids`);
}

function isStore({ sequence, state, commit, durableWrite }: Store<unknown>): boolean {
  const areThere = [sequence, state].every((part) => typeof part === 'object' && part !== null);
  return areThere && typeof commit === 'function' && typeof durableWrite === 'function';
}

/** A text of digits would else look like the number that it is not. */
function shown(value: unknown): string {
  return typeof value === 'string' ? `'${value}', a text` : String(value);
}

/** Says what is wrong with a list of node ids, or `undefined`. */
export function nodesProblem(nodes: readonly NodeId[]): string | undefined {
  if (nodes.length === 0) return 'a configuration needs at least one node';
  for (const node of nodes) {
    if (!Number.isSafeInteger(node) || node < 1) return `node id ${shown(node)} is not a positive integer`;
  }
  if (new Set(nodes).size !== nodes.length) return `node ids ${nodes.join(', ')} are not distinct`;
  return undefined;
}
