import type { Configuration } from '../../cluster/configuration.ts';
import type { NodeId } from '../../omnipaxos/ballot.ts';

/** How a node comes into office in a configuration that begins, if it does without an election. */
export type Incumbency = 'incumbent' | 'successor';

/** What a node is in the configuration before the one that it takes up. */
export interface Office {
  /** It leads there, with a quorum. */
  readonly isInOffice: boolean;
  /** Whom it follows there, if anybody. */
  readonly leader: NodeId | undefined;
}

/** What one is who has no vote there. */
export const noOffice: Office = { isInOffice: false, leader: undefined };

/**
 * Whether node `nodeId` starts `next` in office, having had `office` in the configuration before: the leader does if it goes on. Where it does not, the
 * member of both with the lowest id does, and where all are new the one with the lowest id: all can name it, so that nobody has to be elected first.
 * Undefined: it waits for whoever does, or an election.
 */
export function incumbencyIn(next: Configuration, nodeId: NodeId, office: Office): Incumbency | undefined {
  if (office.isInOffice) return 'incumbent';
  const before = next.past?.at(-1);
  if (before?.configurationId !== next.configurationId - 1) return undefined;
  const ids = next.members.map(({ id }) => id);
  if (office.leader !== undefined && ids.includes(office.leader)) return undefined;
  const staying = ids.filter((id) => before.memberIds.includes(id));
  // It comes late, having caught up first, as one that is rebuilt: somebody leads by then.
  if (office === noOffice && staying.length > 0) return undefined;
  const [successor = ids[0]] = staying;
  return successor === nodeId ? 'successor' : undefined;
}
