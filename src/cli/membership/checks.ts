import { formatBytes } from '../../base/byte-size.ts';
import type { ClusterStatus, MemberStatus } from '../../client/members/cluster-status.ts';
import { describeFull, describeLackOfRoom } from '../../client/members/lack-of-room.ts';
import { isLoopback, isWildcard, parseAddress } from '../../cluster/address.ts';
import type { NodeStatus } from '../../wire/client-message.ts';
import type { ReconfigurationPlan } from '../arguments/reconfiguration-plan.ts';
import { CommandError, type ExitName } from '../exit-codes.ts';
import { otherDirectory } from '../report/damage-remedy.ts';
import { takesPart } from '../report/status-report.ts';
import { isApart } from './member-list.ts';

/** What a node that is to come, or to move, answered at its address. */
export interface Answer {
  readonly id: number;
  readonly address: string;
  readonly status: NodeStatus | undefined;
  /** Why there is no status. */
  readonly reason: string | undefined;
  /** True if something answers there that is no node for this command. */
  readonly isNoNode: boolean;
}

/** Something that speaks against a reconfiguration. */
export interface Problem {
  /** True: it would do harm or come to nothing, whatever anybody says. False: `--force` goes on. */
  readonly isUnsafe: boolean;
  readonly exit: ExitName;
  readonly code: string;
  readonly message: string;
  /** It may be over in a moment: what was asked one after the other did not fit together. */
  readonly mayPass?: boolean;
}

/** Newcomers get all data yet, before the change; or they have it; or they get it as members. */
export type Filled = 'before' | 'done' | 'afterwards';

/** What speaks against carrying out `plan` now, the gravest first. `answers` are of those who were asked. */
export function findProblems(
  plan: ReconfigurationPlan,
  status: ClusterStatus,
  answers: readonly Answer[],
  filled: Filled,
): Problem[] {
  const staying = status.members.filter((member) => member.isMember && isIn(plan, member.id));
  return [
    ...leaderProblems(status),
    ...addressProblems(plan, status),
    ...answers.filter(({ id }) => isAdded(plan, id)).flatMap((answer) => newcomerProblems(answer, status, filled)),
    ...loopbackProblems(plan, staying),
    ...majorityProblems(plan, status, answers),
    ...staying.filter(({ id }) => !isAsked(plan, id, answers)).flatMap((member) => stayerProblems(member, status)),
    ...answers.filter(({ id }) => !isAdded(plan, id)).flatMap((answer) => movedProblems(answer, status)),
    ...namesakeProblems(plan, status, answers),
    ...(filled === 'done' ? linkProblems(plan, status, answers) : []),
  ];
}

/** What one should know beforehand, though nothing speaks against it: a configuration decides by its own majority. */
export function pauseNote(plan: ReconfigurationPlan, status: ClusterStatus): string | undefined {
  const count = plan.nodes.length;
  const complete = status.members.filter(
    (member) => member.isMember && isIn(plan, member.id) && takesPart(member) && !isCatchingUp(member),
  ).length;
  const needed = Math.floor(count / 2) + 1 - complete;
  if (needed <= 0) return undefined;
  return `nothing can be written until ${needed} of those that lack data ${needed > 1 ? 'have' : 'has'} it all`;
}

/** The same: members that stay, and take no part while a part of the network is cut. */
export function apartNotes(plan: ReconfigurationPlan, status: ClusterStatus): string[] {
  const staying = status.members.filter((member) => member.isMember && isIn(plan, member.id) && takesPart(member));
  return staying
    .filter((member) => isApart(member, status))
    .map(({ id, configurationId }) =>
      configurationId !== undefined && configurationId < status.configurationId
        ? `node ${id}, which stays, has not heard of configuration ${status.configurationId}: it takes no part until it has`
        : `node ${id}, which stays, has no link with node ${status.leader}, which leads: it takes no part until it has one`,
    );
}

/** Throws a {@link CommandError} for what stops the command; returns, for people, what `isForced` goes on in spite of. */
export function stopAt(problems: readonly Problem[], isForced: boolean): string[] {
  const stopping = problems.filter(({ isUnsafe }) => isUnsafe || !isForced);
  const [first] = stopping;
  if (first === undefined) return problems.map(({ message }) => message);
  const hint = first.isUnsafe ? '' : '; --force goes on all the same';
  throw new CommandError(first.exit, first.code, stopping.map(({ message }) => message).join('; ') + hint);
}

function leaderProblems({ leader, configurationId }: ClusterStatus): Problem[] {
  if (leader !== undefined) return [];
  const message = `configuration ${configurationId} has no leader with a majority in reach: nothing can be changed`;
  return [unsafe('notReached', 'noMajority', message)];
}

/** A node that is linked with this one has told its address. */
function addressProblems(plan: ReconfigurationPlan, status: ClusterStatus): Problem[] {
  const unknown = plan.added.filter(
    ({ id, address }) => address === undefined && !status.members.some(({ connected }) => connected?.includes(id)),
  );
  return unknown.map(({ id }) =>
    unsafe('usage', 'badInput', `no address is known for node ${id}: write ${id}=host:port`),
  );
}

/** This command may well run on the newcomer's own machine, where such an address answers. */
function loopbackProblems(plan: ReconfigurationPlan, staying: readonly MemberStatus[]): Problem[] {
  const moving = plan.moved.map(({ id, to }) => ({ id, address: to }));
  const others = staying.filter(({ id }) => !moving.some((node) => node.id === id));
  return [...plan.added, ...moving].flatMap(({ id, address }) => {
    if (address === undefined) return [];
    const other = others.find((member) => isForOwnMachine(member.address) !== isForOwnMachine(address));
    if (other === undefined) return [];
    const [inside, outside] = isForOwnMachine(address) ? [{ id, address }, other] : [other, { id, address }];
    const message =
      `node ${inside.id} at ${inside.address} is reached from its own machine only, and node ${outside.id} is at ${outside.address}: ` +
      'give addresses at which all reach each other';
    return [risky('notReachable', message)];
  });
}

/** A node that was alone may have listened on all addresses of its machine. */
function isForOwnMachine(address: string): boolean {
  const { host } = parseAddress(address);
  return isLoopback(host) || isWildcard(host);
}

function newcomerProblems(answer: Answer, cluster: ClusterStatus, filled: Filled): Problem[] {
  const { id, address, status, reason } = answer;
  if (answer.isNoNode) return [unsafe('notReached', 'notKvNode', describeOther(answer))];
  if (status === undefined) {
    const message = `node ${id} does not answer at ${address} (${reason}): start it with \`kv start --id ${id} --address ${address}\``;
    return [unsafe('notReached', 'unreachable', message)];
  }
  if (status.nodeId !== id) {
    return [unsafe('conditionFailed', 'otherNode', `at ${address} is node ${status.nodeId}, not node ${id}`)];
  }
  if (status.clusterId !== undefined && status.clusterId !== cluster.clusterId) {
    const message = `node ${id} at ${address} has data of cluster ${status.clusterId}, this one is ${cluster.clusterId}: start it with an empty data directory`;
    return [unsafe('conditionFailed', 'otherCluster', message)];
  }
  const full = fullProblems(id, status, cluster, filled);
  return full.length > 0 || filled !== 'afterwards' ? full : narrowProblems(id, status, cluster);
}

function describeOther({ id, address, reason }: Answer): string {
  return `what listens at ${address} ${reason}: if that is node ${id}, see to it; if not, start node ${id} there, or give another address`;
}

/** One that is full would keep the cluster from taking puts. What it has of the cluster's data may be replaced by less, and where others are full it changes nothing. */
function fullProblems(id: number, status: NodeStatus, { fullNodes }: ClusterStatus, filled: Filled): Problem[] {
  const { clusterId, space } = status;
  const isNone = clusterId !== undefined && (filled !== 'afterwards' || fullNodes.length > 0);
  if (isNone || space?.level !== 'full') return [];
  return [
    noRoom(`node ${id} has ${describeFull(space)}: as its member the cluster would take no puts; give it more room`),
  ];
}

/** At least this part of what a member uses is its state: the log takes up to two and a half times as much, and lies ready beside. */
const statePart = 1 / 4;

/** One that is to get the data as a member takes no part until it has it, and holds up all where it is needed. */
function narrowProblems(id: number, { catchUp, space }: NodeStatus, { members }: ClusterStatus): Problem[] {
  const lack = catchUp?.lackOfRoom;
  if (lack !== undefined) return [noRoom(`node ${id} has ${describeLackOfRoom(lack)}: give it more room`)];
  const used = members.flatMap((member) => (member.isMember && member.space ? [member.space.usedBytes] : []));
  if (space === undefined || used.length === 0) return [];
  const least = Math.min(...used) * statePart;
  if (least < space.capacityBytes) return [];
  const [has, data] = [space.capacityBytes, least].map(formatBytes);
  return [noRoom(`node ${id} has ${has} in all, and the data takes ${data} or more: give it more room`)];
}

function noRoom(message: string): Problem {
  return { isUnsafe: false, exit: 'overLimit', code: 'noSpace', message };
}

function majorityProblems(plan: ReconfigurationPlan, status: ClusterStatus, answers: readonly Answer[]): Problem[] {
  const away = plan.nodes.filter(({ id }) => {
    const answer = answers.find((one) => one.id === id);
    if (answer)
      return answer.status?.nodeId !== id || (!isAdded(plan, id) && otherNodeProblem(answer, status) !== undefined);
    const member = status.members.find((one) => one.isMember && one.id === id);
    // Whoever is not known here is for the node that proposes to find.
    return member !== undefined && !takesPart(member);
  });
  const count = plan.nodes.length;
  if (2 * (count - away.length) > count) return [];
  const names = away.map(({ id }) => id).join(', ');
  const message = `of the next ${count} members only ${count - away.length} would take part, which is no majority: ${names} would not`;
  return [unsafe('notReached', 'noMajority', message)];
}

function stayerProblems(member: MemberStatus, cluster: ClusterStatus): Problem[] {
  const { id, address, state } = member;
  if (state === undefined) {
    return [risky('memberDown', `node ${id} at ${address}, which stays, does not answer: ${remedyFor(id, cluster)}`)];
  }
  if (member.hasOtherDirectory) {
    return [risky('memberDown', `node ${id}, which stays, ${otherDirectory(id, true)}`)];
  }
  if (isCatchingUp(member)) return [risky('memberIncomplete', `node ${id}, which stays, is still catching up`)];
  return [];
}

/** A member that was away for long votes, and lacks as much as one that is new. */
export function isCatchingUp({ state, catchUp }: MemberStatus): boolean {
  return state !== 'member' || catchUp !== undefined;
}

/** What mends that a member does not answer. */
function remedyFor(id: number, { members, leader }: ClusterStatus): string {
  if (members.some(({ connected }) => connected?.includes(id))) {
    return 'others have a link with it, so see that it is reached from here, too';
  }
  // Nobody can be taken out then.
  return leader === undefined ? 'start it' : 'start it, or take it out';
}

function movedProblems(answer: Answer, cluster: ClusterStatus): Problem[] {
  const { id, address, status, reason } = answer;
  if (answer.isNoNode) return [risky('memberDown', describeOther(answer))];
  if (status === undefined) {
    const why = `node ${id} does not answer at its new address ${address} (${reason}): start it there, or take it out`;
    return [risky('memberDown', why)];
  }
  return otherNodeProblem(answer, cluster) ?? [];
}

/**
 * One that was taken out and runs on, say: whoever leads has a link with it, and takes no second node of its id. Where the newcomer has just been started again it may be its
 * own former link.
 */
function namesakeProblems(plan: ReconfigurationPlan, status: ClusterStatus, answers: readonly Answer[]): Problem[] {
  const leader = status.members.find(({ id }) => id === status.leader);
  if (leader === undefined) return [];
  const others = answers.filter(
    ({ id, status: told }) =>
      isAdded(plan, id) && leader.connected?.includes(id) && told?.nodeId === id && !told.connected.includes(leader.id),
  );
  return others.map(({ id, address }) => {
    const message = `another node ${id} than the one at ${address} is linked with node ${leader.id}: stop that one`;
    return { ...unsafe('conditionFailed', 'otherNode', message), mayPass: true };
  });
}

/** A newcomer that took the data from others may yet be out of reach of the one that leads. Only a cluster that fills it has links with it. */
function linkProblems(plan: ReconfigurationPlan, status: ClusterStatus, answers: readonly Answer[]): Problem[] {
  const leader = status.members.find(({ id }) => id === status.leader && isIn(plan, id));
  if (leader === undefined) return [];
  const apart = answers.filter(
    (one) =>
      isAdded(plan, one.id) &&
      one.status?.connected.includes(leader.id) === false &&
      leader.connected?.includes(one.id) !== true,
  );
  return apart.map(({ id, address }) => {
    const message =
      `node ${id} at ${address} has no link with node ${leader.id} at ${leader.address}, which leads: ` +
      'see that each reaches the other';
    return risky('notLinked', message);
  });
}

/** What answers where a member is said to have moved, if that is not the member with what it votes with. */
function otherNodeProblem({ id, address, status }: Answer, cluster: ClusterStatus): Problem[] | undefined {
  if (status === undefined) return undefined;
  if (status.nodeId !== id) {
    return [unsafe('conditionFailed', 'otherNode', `at ${address} is node ${status.nodeId}, not node ${id}`)];
  }
  if (status.clusterId !== undefined && status.clusterId !== cluster.clusterId) {
    const message = `at ${address} is node ${id} of cluster ${status.clusterId}, this one is ${cluster.clusterId}`;
    return [unsafe('conditionFailed', 'otherCluster', message)];
  }
  const votesWith = cluster.members.find((member) => member.isMember && member.id === id)?.storageId;
  const isItsOwn = votesWith === undefined || status.storageId === votesWith;
  if (isItsOwn && status.clusterId !== undefined) return undefined;
  const message =
    `node ${id} at ${address} runs with another data directory than it votes with, and would take no part: ` +
    `start it with its own, or give it up with \`kv member replace ${id} NEW\``;
  return [unsafe('conditionFailed', 'otherDirectory', message)];
}

/** It was asked at the address that it is to be given: what it is counts there. */
function isAsked(plan: ReconfigurationPlan, id: number, answers: readonly Answer[]): boolean {
  return answers.some((answer) => answer.id === id && !isAdded(plan, id));
}

function isIn(plan: ReconfigurationPlan, id: number): boolean {
  return plan.nodes.some((node) => node.id === id);
}

function isAdded(plan: ReconfigurationPlan, id: number): boolean {
  return plan.added.some((node) => node.id === id);
}

function unsafe(exit: ExitName, code: string, message: string): Problem {
  return { isUnsafe: true, exit, code, message };
}

function risky(code: string, message: string): Problem {
  return { isUnsafe: false, exit: 'conditionFailed', code, message };
}
