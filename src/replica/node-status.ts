import { historyOf } from '../cluster/configuration.ts';
import type { NodeId } from '../omnipaxos/ballot.ts';
import type { DiskStatus, LogHeld, NodeStatus } from '../wire/client-message.ts';
import type { LogStore } from './log-store.ts';
import { catchUpOf, type Mode } from './membership/mode.ts';
import type { Space } from './state/space.ts';

/** Most links that a status tells of. */
const connectedToldMax = 256;

/** What a node's status is made of. */
export interface StatusParts {
  readonly store: LogStore;
  readonly appliedIndex: number;
  readonly address: string;
  readonly mode: Mode;
  readonly leader: NodeId | undefined;
  readonly members: NodeStatus['members'];
  readonly connected: readonly NodeId[];
  readonly disk: DiskStatus;
  readonly logHeld: LogHeld | undefined;
  readonly space: Space;
}

/** What a node tells of itself to whoever asks. */
export function nodeStatus(parts: StatusParts): NodeStatus {
  const { store, mode, appliedIndex, address, leader, disk, members, connected, space } = parts;
  const { clusterId, nodeId, storageId } = store.identity;
  return {
    clusterId,
    nodeId,
    address,
    state: mode.name,
    configurationId: store.configuration?.configurationId ?? 0,
    leader,
    decidedIndex: store.state.decidedIndex,
    appliedIndex,
    disk,
    members,
    storageId,
    trimmedIndex: store.sequence.trimmedIndex,
    connected: connected.slice(0, connectedToldMax),
    fullNodes: space.fullNodes.map((node) => node.nodeId),
    ...whatIsThereAtTimes(parts),
  };
}

/** The past, the way of a newcomer, who holds the log, and the space once it was measured. */
function whatIsThereAtTimes({ store, mode, logHeld, space }: StatusParts): Partial<NodeStatus> {
  const { configuration } = store;
  const catchUp = catchUpOf(mode);
  const own = ownSpace(space);
  return {
    ...(configuration && {
      history: historyOf(configuration).map(({ memberIds, ...rest }) => ({ ...rest, members: memberIds })),
    }),
    ...(catchUp && !catchUp.isComplete && { catchUp: catchUp.status() }),
    ...(logHeld && { logHeld }),
    ...(own && { space: own }),
  };
}

function ownSpace({ measured }: Space): NodeStatus['space'] {
  if (measured === undefined) return undefined;
  const { level, usedBytes, capacityBytes } = measured;
  return { level, usedBytes, capacityBytes };
}
