import { isWildcard, parseAddress } from '../../cluster/address.ts';
import type {
  CatchUpStatus,
  ConfigurationSummary,
  DiskStatus,
  LogHeld,
  NodeRole,
  NodeSpace,
  NodeStatus,
} from '../../wire/client-message.ts';

/** A node as the cluster has it. */
export interface MemberStatus {
  readonly id: number;
  readonly address: string;
  /** Where a member says it is, if it does not answer at `address`, where the others look for it. */
  readonly answersAt: string | undefined;
  /** Why a member cannot be asked whose address answers something: as with another version of the protocol, or a certificate that is not believed. */
  readonly problem: string | undefined;
  readonly role: NodeRole;
  /** Undefined where the node does not answer. */
  readonly decidedIndex: number | undefined;
  readonly appliedIndex: number | undefined;
  /** True for a member of the configuration, false for another node that answered. */
  readonly isMember: boolean;
  /** What the node says that it does; undefined where it does not answer. */
  readonly state: NodeStatus['state'] | undefined;
  /** The configuration that it knows. */
  readonly configurationId: number | undefined;
  /** Decided entries that it does not know to be decided, against the node that knows of the most. */
  readonly lag: number | undefined;
  /** True if a member came with another data directory than it votes with: it takes no part. */
  readonly hasOtherDirectory: boolean;
  /** The data directory that a member votes with, where that is known; of another node the one that it has. */
  readonly storageId: string | undefined;
  /** Below this its log is trimmed. */
  readonly trimmedIndex: number | undefined;
  /** Nodes that it has a link with. */
  readonly connected: readonly number[] | undefined;
  readonly catchUp: CatchUpStatus | undefined;
  readonly logHeld: LogHeld | undefined;
  readonly disk: DiskStatus | undefined;
  readonly space: NodeSpace | undefined;
}

/** A node that was asked and is of another cluster. */
export interface Stranger {
  readonly id: number;
  /** Where it was asked. */
  readonly address: string;
  readonly clusterId: string;
}

/** The cluster as its nodes see it, put together. Each index is an exclusive end: a count of entries. */
export interface ClusterStatus {
  /** Undefined while no cluster has formed. */
  readonly clusterId: string | undefined;
  readonly configurationId: number;
  readonly leader: number | undefined;
  /** Members without space, by which the cluster takes no puts. */
  readonly fullNodes: readonly number[];
  /** The members of the configuration, then the other nodes that answered, each ascending by id. */
  readonly members: readonly MemberStatus[];
  /** The last configurations that the nodes know of, the oldest first and the present one last. */
  readonly history: readonly ConfigurationSummary[];
  /** Nodes of other clusters at the addresses that were asked: there are none where all is well. */
  readonly strangers?: readonly Stranger[];
}

/** Why a node could not be asked; `answersOtherwise`: something is there, but not as it should be. */
export interface NotAsked {
  readonly problem: string;
  readonly answersOtherwise: boolean;
}

/** Asks one node. */
export type AskNode = (address: string) => Promise<NodeStatus | NotAsked>;

/**
 * Puts together what the nodes say: asks those at `addresses` and the members that they tell of, all in parallel.
 * The view of the highest configuration counts. Nodes of another cluster than the first are told apart; where theirs has a leader, and that
 * of the first has none, it is theirs that is told of.
 */
export async function gatherClusterStatus(
  first: NodeStatus,
  addresses: readonly string[],
  ask: AskNode,
): Promise<ClusterStatus> {
  const { status, strangers } = await gatherFrom(first, addresses, ask);
  const leading = strangers.find(({ leader }) => leader !== undefined);
  if (status.leader !== undefined || leading === undefined) return status;
  return (await gatherFrom(leading, addresses, ask)).status;
}

/** What was found, which node answered where, and what is wrong where something else did. */
interface Found {
  readonly statuses: Map<number, NodeStatus>;
  readonly addresses: Map<string, number>;
  readonly problems: Map<string, string>;
}

interface Gathered {
  readonly status: ClusterStatus;
  readonly strangers: readonly NodeStatus[];
}

async function gatherFrom(first: NodeStatus, addresses: readonly string[], ask: AskNode): Promise<Gathered> {
  const strangers = new Map<string, NodeStatus>();
  const found: Found = {
    statuses: new Map([[first.nodeId, first]]),
    addresses: new Map([[first.address, first.nodeId]]),
    problems: new Map(),
  };
  const asked = new Set<string>([first.address]);
  let toAsk = [...addresses, ...addressesIn(first)].filter((address) => !asked.has(address));
  while (toAsk.length > 0) {
    for (const address of toAsk) asked.add(address);
    const answers = await Promise.all(
      [...new Set(toAsk)].map(async (address) => ({ address, answer: await ask(address) })),
    );
    for (const { address, answer } of answers) {
      if ('problem' in answer) {
        if (answer.answersOtherwise) found.problems.set(address, answer.problem);
      } else if (!isOfSameCluster(answer, first)) strangers.set(address, answer);
      else {
        found.statuses.set(answer.nodeId, answer);
        found.addresses.set(address, answer.nodeId);
      }
    }
    // A node may know of a newer configuration, with members that are not asked yet.
    toAsk = addressesIn(newest(found.statuses)).filter((address) => !asked.has(address));
  }
  const told = [...strangers].map(([address, status]) => strangerAt(address, status));
  const status = { ...summary(found), ...(told.length > 0 && { strangers: told }) };
  return { status, strangers: [...strangers.values()] };
}

function strangerAt(address: string, { nodeId, clusterId = '' }: NodeStatus): Stranger {
  return { id: nodeId, address, clusterId };
}

function summary({ statuses, addresses, problems }: Found): ClusterStatus {
  const view = newest(statuses);
  const leader = leaderOf(statuses, view);
  const memberIds = new Set(view.members.map((member) => member.id));
  // One that begins with the data of another cluster counts from far above.
  const own = [...statuses.values()].filter((status) => status.clusterId === view.clusterId);
  const decidedIndex = Math.max(...own.map((status) => status.decidedIndex));
  const members = [...view.members]
    .sort((a, b) => a.id - b.id)
    .map(({ id, address, storageId }) => {
      const status = statuses.get(id);
      return {
        ...memberStatus(id, address, status, roleOf(id, leader, status), decidedIndex),
        isMember: true,
        problem: status === undefined ? problems.get(address) : undefined,
        answersAt: addresses.get(address) === id ? undefined : otherAddressOf(status, address),
        storageId,
        hasOtherDirectory: storageId !== undefined && status !== undefined && storageId !== status.storageId,
      };
    });
  const others = [...statuses.values()]
    .filter((status) => !memberIds.has(status.nodeId))
    .sort((a, b) => a.nodeId - b.nodeId)
    .map((status) => memberStatus(status.nodeId, status.address, status, 'standby', decidedIndex));
  const { clusterId, configurationId, fullNodes, history = [] } = view;
  return { clusterId, configurationId, leader, fullNodes, members: [...members, ...others], history };
}

/** One that listens on all addresses of its machine does not say which. */
function otherAddressOf(status: NodeStatus | undefined, address: string): string | undefined {
  if (status === undefined || status.address === address) return undefined;
  return isWildcard(parseAddress(status.address).host) ? undefined : status.address;
}

/** A member that does not know itself to be one, such as one with an emptied directory, takes no part. */
function roleOf(id: number, leader: number | undefined, status: NodeStatus | undefined): NodeRole {
  if (id === leader) return 'leader';
  return status?.state === 'member' || status?.state === 'joining' ? 'follower' : 'standby';
}

function memberStatus(
  id: number,
  address: string,
  status: NodeStatus | undefined,
  role: NodeRole,
  decidedIndex: number,
): MemberStatus {
  return {
    id,
    address,
    answersAt: undefined,
    problem: undefined,
    role: status === undefined ? 'unreachable' : role,
    decidedIndex: status?.decidedIndex,
    appliedIndex: status?.appliedIndex,
    isMember: false,
    state: status?.state,
    configurationId: status?.configurationId,
    lag: status && Math.max(0, decidedIndex - status.decidedIndex),
    hasOtherDirectory: false,
    storageId: status?.storageId,
    trimmedIndex: status?.trimmedIndex,
    connected: status?.connected,
    catchUp: status?.catchUp,
    logHeld: status?.logHeld,
    disk: status?.disk,
    space: status?.space,
  };
}

/** Who claims to lead the newest configuration, or whom a majority of its members follows where that one cannot be asked from here. */
function leaderOf(found: ReadonlyMap<number, NodeStatus>, view: NodeStatus): number | undefined {
  const voters = [...found.values()].filter(
    (status) => status.configurationId === view.configurationId && status.state === 'member',
  );
  const followers = new Map<number, number>();
  for (const { leader } of voters) if (leader !== undefined) followers.set(leader, (followers.get(leader) ?? 0) + 1);
  const majority = Math.floor(view.members.length / 2) + 1;
  const linkedWith = (leader: number) =>
    voters.filter((one) => one.leader === leader && one.connected.includes(leader));
  const candidates = [...followers].filter(([leader]) => {
    const own = found.get(leader);
    return own === undefined ? linkedWith(leader).length + 1 >= majority : own.leader === leader;
  });
  return candidates.sort((a, b) => b[1] - a[1])[0]?.[0];
}

function newest(found: ReadonlyMap<number, NodeStatus>): NodeStatus {
  // Of two nodes in one configuration, the one that has decided more knows more.
  const order = (a: NodeStatus, b: NodeStatus) =>
    b.configurationId - a.configurationId || b.decidedIndex - a.decidedIndex || a.nodeId - b.nodeId;
  return [...found.values()].sort(order)[0] as NodeStatus;
}

/** A node without a cluster, such as a standby, may yet come into this one; one of another cluster has no business here. */
function isOfSameCluster(status: NodeStatus, first: NodeStatus): boolean {
  return status.clusterId === undefined || first.clusterId === undefined || status.clusterId === first.clusterId;
}

function addressesIn(status: NodeStatus): string[] {
  return status.members.map((member) => member.address);
}
