import { DecodeError } from '../../base/bytes.ts';
import { nodeIdMax } from '../../cluster/node-list.ts';
import { configurationOf } from '../../cluster/stop-sign.ts';
import { isCommandIntact } from '../../kv/command.ts';
import { commandBytesMax } from '../../kv/command-limits.ts';
import { nodesProblem } from '../../omnipaxos/configuration.ts';
import type { Entry, StopSign } from '../../omnipaxos/entry.ts';
import { quorumProblem } from '../../omnipaxos/quorum.ts';

/**
 * Those of the proposals that another node forwarded to which this one may give a place in the log, where they are for good: what no node
 * can apply, or send on, must not get there. `configurationId` is the present one.
 */
export function soundProposals(
  entries: readonly Entry<Uint8Array>[],
  configurationId: number,
): readonly Entry<Uint8Array>[] {
  const isSound = (entry: Entry<Uint8Array>): boolean =>
    entry.type === 'Normal' ? isSoundCommand(entry.entry) : opensNext(entry.stopSign, configurationId);
  return entries.every(isSound) ? entries : entries.filter(isSound);
}

function isSoundCommand(command: Uint8Array): boolean {
  return command.length <= commandBytesMax && isCommandIntact(command);
}

/** True of a StopSign that every node will read alike, and that leaves somebody to vote. */
function opensNext(stopSign: StopSign, configurationId: number): boolean {
  if (stopSign.configId !== configurationId + 1) return false;
  try {
    const { members, quorum } = configurationOf(stopSign, 0);
    const ids = members.map(({ id }) => id);
    if (nodesProblem(ids) !== undefined || ids.some((id) => id > nodeIdMax)) return false;
    if (quorum && quorumProblem(quorum, ids.length) !== undefined) return false;
    return ids.join() === stopSign.nodes.join();
  } catch (error) {
    if (error instanceof DecodeError) return false;
    throw error;
  }
}
