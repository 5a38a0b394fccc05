import type { ClusterStatus, MemberStatus } from '../../client/members/cluster-status.ts';
import { describeTolerance, faultTolerance } from '../arguments/reconfiguration-plan.ts';
import { formatTable } from '../output.ts';
import { votes } from '../report/status-report.ts';

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
    `configuration ${status.configurationId}: ${describeTolerance(members.length)}${describeAway(members, status)}`,
    ...formatTable([['ID', 'ADDRESS', 'STATE'], ...rows], [0]),
  ];
}

function membersOf(status: ClusterStatus): MemberStatus[] {
  return status.members.filter(({ isMember }) => isMember);
}

/** True for a member that answers, and cannot accept what is decided: it has no link with the leader, or has not heard of the configuration. */
export function isApart({ id, state, connected, configurationId = 0 }: MemberStatus, cluster: ClusterStatus): boolean {
  if (state === undefined) return false;
  const { leader } = cluster;
  const isLinked = leader === undefined || leader === id || connected?.includes(leader);
  return !isLinked || configurationId < cluster.configurationId;
}

/** What is left of the tolerance where members take no part. */
function describeAway(members: readonly MemberStatus[], status: ClusterStatus): string {
  const away = members.filter((member) => !votes(member) || isApart(member, status)).length;
  if (away === 0) return '';
  const left = faultTolerance(members.length) - away;
  if (left < 0) return `, but ${away} take${away > 1 ? '' : 's'} no part: no majority is in reach`;
  return `, and ${away} take${away > 1 ? '' : 's'} no part: ${left === 0 ? 'no' : left} more may`;
}

/** What a member does, in one word. */
function stateOf({ state, role, hasOtherDirectory }: MemberStatus): string {
  if (state === undefined) return 'unreachable';
  if (hasOtherDirectory) return 'otherDirectory';
  if (state === 'joining') return 'catchingUp';
  return role === 'leader' ? 'leader' : state === 'member' ? 'follower' : state;
}
