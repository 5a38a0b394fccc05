import type { ClusterStatus, MemberStatus } from '../../client/cluster-status.ts';
import { formatTable } from '../output.ts';
import { describeTolerance, faultTolerance } from '../reconfiguration-plan.ts';

/** What `kv member list --json` writes. */
export function membersJson(status: ClusterStatus) {
  const members = membersOf(status);
  return {
    clusterId: status.clusterId ?? null,
    configurationId: status.configurationId,
    faultTolerance: faultTolerance(members.length),
    members: members.map((member) => ({ id: member.id, address: member.address, state: stateOf(member) })),
  };
}

/** The members for people, a line each. */
export function describeMembers(status: ClusterStatus): string[] {
  const members = membersOf(status);
  const rows = members.map((member) => [`${member.id}`, member.address, stateOf(member)]);
  return [
    `configuration ${status.configurationId}: ${describeTolerance(members.length)}`,
    ...formatTable([['ID', 'ADDRESS', 'STATE'], ...rows], [0]),
  ];
}

function membersOf(status: ClusterStatus): MemberStatus[] {
  return status.members.filter(({ isMember }) => isMember);
}

/** What a member does, in one word. */
function stateOf({ state, role, hasOtherDirectory }: MemberStatus): string {
  if (state === undefined) return 'unreachable';
  if (hasOtherDirectory) return 'otherDirectory';
  if (state === 'joining') return 'catchingUp';
  return role === 'leader' ? 'leader' : state === 'member' ? 'follower' : state;
}
