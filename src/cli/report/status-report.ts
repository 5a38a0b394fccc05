import { formatBytes } from '../../base/byte-size.ts';
import type { MemberStatus, Stranger } from '../../client/members/cluster-status.ts';
import { describeLackOfRoom } from '../../client/members/lack-of-room.ts';
import type { CatchUpStatus, ConfigurationSummary, DiskStatus, NodeSpace } from '../../wire/client-message.ts';
import { formatTable } from '../output.ts';
import { otherDirectory } from './damage-remedy.ts';

/** What is known of a cluster: what `kv status --json` writes, field for field. */
export interface StatusReport {
  readonly clusterId: string | undefined;
  readonly configurationId: number;
  readonly leader: number | undefined;
  /** Members without space, by which the cluster takes no puts. */
  readonly fullNodes: readonly number[];
  readonly members: readonly StatusOfNode[];
  /** The last configurations, the oldest first and the present one last. */
  readonly history: readonly ConfigurationSummary[];
  /** Nodes of other clusters that were met. */
  readonly strangers?: readonly Stranger[];
}

/** One node in a {@link StatusReport}. What is undefined is not known, mostly since the node did not answer. */
export type StatusOfNode = Omit<MemberStatus, 'configurationId' | 'storageId'>;

/** So many entries behind is the way of things under load. */
const lagToTell = 1000;
/** Configurations of the past that people are shown. */
const historyShown = 5;

/**
 * The report as JSON has it: what is not known is `null`, so that every field is always there, but for what is there only if something
 * is wrong: `strangers`, `answersAt` of a member that is not where the others look for it, and `problem` of one that cannot be asked.
 */
export function statusJson(report: StatusReport) {
  return {
    clusterId: report.clusterId ?? null,
    configurationId: report.configurationId,
    leader: report.leader ?? null,
    fullNodes: report.fullNodes,
    members: report.members.map((node) => ({
      id: node.id,
      address: node.address,
      ...(node.answersAt !== undefined && { answersAt: node.answersAt }),
      ...(node.problem !== undefined && { problem: node.problem }),
      role: node.role,
      decidedIndex: node.decidedIndex ?? null,
      appliedIndex: node.appliedIndex ?? null,
      member: node.isMember,
      state: node.state ?? null,
      lag: node.lag ?? null,
      otherDirectory: node.hasOtherDirectory,
      trimmedIndex: node.trimmedIndex ?? null,
      connected: node.connected ?? null,
      catchUp: node.catchUp ?? null,
      logHeld: node.logHeld ?? null,
      disk: node.disk ? diskJson(node.disk) : null,
      space: node.space ?? null,
    })),
    history: report.history,
    ...(report.strangers && { strangers: report.strangers }),
  };
}

function diskJson({ flushP50Ms, flushP99Ms, flushes }: DiskStatus) {
  return { flushP50Ms: flushP50Ms ?? null, flushP99Ms: flushP99Ms ?? null, flushes };
}

/** The report for people: a table, then what is not as it should be and who holds what back, then the past. */
export function describeStatus(report: StatusReport): string[] {
  const leader = report.leader === undefined ? 'no leader' : `leader ${report.leader}`;
  const rows = report.members.map((node) => [
    `${node.id}`,
    node.address,
    node.role === 'leader' ? 'leader *' : node.role,
    `${node.decidedIndex ?? '-'}`,
    `${node.appliedIndex ?? '-'}`,
    node.disk?.flushP99Ms === undefined ? '-' : `${node.disk.flushP99Ms.toFixed(1)} ms`,
    describeSpace(node.space),
  ]);
  return [
    `cluster ${report.clusterId ?? '(not formed yet)'}, configuration ${report.configurationId}, ${leader}`,
    ...formatTable([['ID', 'ADDRESS', 'ROLE', 'DECIDED', 'APPLIED', 'FSYNC P99', 'SPACE'], ...rows], [0, 3, 4, 5]),
    ...describeNoMajority(report),
    ...(report.fullNodes.length === 0 ? [] : [describeReadOnly(report.fullNodes)]),
    ...report.members.flatMap((node) => remarksOn(node, report)),
    ...describeMoves(report),
    ...describeUnlinked(report),
    ...(report.strangers ?? []).map(describeStranger),
    ...describeHistory(report.history),
  ];
}

/** True for a member that answers, and votes or will. */
export function takesPart({ state, hasOtherDirectory }: Pick<StatusOfNode, 'state' | 'hasOtherDirectory'>): boolean {
  return state !== undefined && !hasOtherDirectory;
}

/** True for one that votes: it has all that was decided before its configuration. */
export function votes(member: Pick<StatusOfNode, 'state' | 'hasOtherDirectory'>): boolean {
  return takesPart(member) && member.state === 'member';
}

/** Whoever asks sees "no leader", and has to be told why, and what to do. */
function describeNoMajority({ clusterId, leader, members: all }: StatusReport): string[] {
  const members = all.filter(({ isMember }) => isMember);
  const away = members.filter((member) => !takesPart(member)).map(({ id }) => id);
  const majority = Math.floor(members.length / 2) + 1;
  const needed = majority - (members.length - away.length);
  if (clusterId === undefined || leader !== undefined) return [];
  if (needed <= 0) return describeTooFewVotes(members, majority);
  const unasked = members.filter(({ problem }) => problem !== undefined).map(({ id }) => id);
  const lost = away.filter((id) => !unasked.includes(id));
  // They may well be at work, with each other.
  if (unasked.length >= needed) {
    const lacking = lost.length === 0 ? '' : `, and ${takeNoPart(lost)}`;
    return [`whether there is a majority is not known: ${nodes(unasked)} cannot be asked from here${lacking}`];
  }
  const them = away.length === 1 ? 'it' : 'them';
  const without = away.length === 1 ? 'it' : `${needed} of them`;
  const what = `nothing can be read or written without ${without}`;
  const salvage = `${away.length === 1 ? 'it is' : 'they are'} lost, kv recover makes a new cluster of what is left`;
  const silent = members.filter(({ state }) => state === undefined).map(({ id }) => id);
  if (silent.length === 0) return [`no majority: ${takeNoPart(away)}, and ${what}: start ${them}; if ${salvage}`];
  const strange = away.filter((id) => !silent.includes(id));
  const why = `${nodes(silent)} ${silent.length === 1 ? 'does' : 'do'} not answer${strange.length === 0 ? '' : `, ${takeNoPart(strange)}`}`;
  const network = 'see to the network, behind which a majority may be at work';
  return [`no majority in reach: ${why}, and from here ${what}: start ${them}, or ${network}; only if ${salvage}`];
}

/** A majority answers, and yet there is no leader. */
function describeTooFewVotes(members: readonly StatusOfNode[], majority: number): string[] {
  const needed = majority - members.filter(votes).length;
  if (needed > 0) {
    const lacking = members.filter((member) => takesPart(member) && !votes(member)).map(({ id }) => id);
    const [are, have] = [lacking.length === 1 ? 'is' : 'are', needed === 1 ? 'has' : 'have'];
    const whom = lacking.length === 1 ? 'it' : `${needed} of them`;
    return [
      `no majority: ${nodes(lacking)} ${are} catching up, and nothing can be read or written before ${whom} ${have} all data`,
    ];
  }
  return members.some((member) => linksOf(member, members) + 1 >= majority) ? [] : [allCutOff];
}

/** "nodes 1, 2 take no part" */
function takeNoPart(ids: readonly number[]): string {
  return `${nodes(ids)} take${ids.length === 1 ? 's' : ''} no part`;
}

const allCutOff =
  'no majority: no member has links with enough of the others, and nothing can be read or written: see to the network between them';

/** How many other members one that votes has a link with. */
function linksOf(member: StatusOfNode, members: readonly StatusOfNode[]): number {
  const { id: own, connected } = member;
  if (!takesPart(member)) return 0;
  return members.filter(({ id }) => id !== own && connected?.includes(id)).length;
}

function describeStranger({ id, address, clusterId }: Stranger): string {
  return `at ${address} is node ${id} of another cluster, ${clusterId}: is it to run, and is that its address?`;
}

/** "3.1 MiB of 64.0 GiB", and how low that is. */
function describeSpace(space: NodeSpace | undefined): string {
  if (space === undefined) return '-';
  const inUse = `${formatBytes(space.usedBytes)} of ${formatBytes(space.capacityBytes)}`;
  return space.level === 'ok' ? inUse : `${inUse}, ${space.level}`;
}

function describeReadOnly(full: readonly number[]): string {
  const have = full.length === 1 ? 'has' : 'have';
  return `no puts: ${nodes(full)} ${have} no space; delete keys, make room, or replace ${full.length > 1 ? 'them' : 'it'} with kv member replace`;
}

function remarksOn(node: StatusOfNode, report: StatusReport): string[] {
  const { id, catchUp, logHeld, lag = 0 } = node;
  const leader = report.members.find((one) => one.id === report.leader);
  const isUnlinked = node.isMember && id !== leader?.id && leader?.connected?.includes(id) === false;
  const remarks: string[] = [];
  if (node.problem !== undefined) remarks.push(`node ${id} cannot be asked: ${node.problem}`);
  if (node.hasOtherDirectory) remarks.push(`node ${id} ${otherDirectory(id, report.leader !== undefined)}`);
  if (catchUp !== undefined) remarks.push(`node ${id} is catching up: ${describeCatchUp(node, catchUp)}`);
  else if (node.isMember && lag >= lagToTell) remarks.push(`node ${id} is ${lag} entries behind`);
  if (isUnlinked) remarks.push(`node ${id} has no link with leader ${leader?.id}`);
  // Without readers it is over in half a minute, and holds nobody up.
  const holdsSome = logHeld !== undefined && logHeld.fromIndex < (node.decidedIndex ?? Number.POSITIVE_INFINITY);
  if (holdsSome && logHeld.readers.length > 0)
    remarks.push(`node ${id} keeps its log from ${logHeld.fromIndex} on for ${nodes(logHeld.readers)}`);
  return remarks;
}

/** Members that run and have no link with each other: all goes on, but should the leader go it may not. Those without one to the leader are told of above. */
function describeUnlinked({ members, leader }: StatusReport): string[] {
  const running = members.filter(({ isMember, id, connected }) => isMember && id !== leader && connected !== undefined);
  const pairs = running.flatMap((one, at) => running.slice(at + 1).map((other) => [one, other] as const));
  return pairs
    .filter(([one, other]) => !one.connected?.includes(other.id) && !other.connected?.includes(one.id))
    .map(([one, other]) => `nodes ${one.id} and ${other.id} have no link with each other`);
}

/** The others do not look for them there: if they cannot dial them, or are new, they do not meet. One command tells of all: two may have changed places. */
function describeMoves({ members: all, leader }: StatusReport): string[] {
  const moved = all.filter(({ answersAt }) => answersAt !== undefined);
  if (moved.length === 0) return [];
  const where = moved.map(({ id, address, answersAt }) => `node ${id} answers at ${answersAt}, and not at ${address}`);
  const members = all.filter(({ isMember }) => isMember);
  const list = members.map(({ id, answersAt }) => (answersAt === undefined ? `${id}` : `${id}=${answersAt}`));
  const [it, is] = moved.length === 1 ? ['it', 'it is'] : ['them', 'they are'];
  // Who leads has a majority, and it can decide that. Without one nobody can be told.
  const first =
    leader === undefined
      ? 'wait ten seconds; if nobody leads then, make so many of them reachable where they were that a majority is linked, as by a forwarded port; and then '
      : '';
  return [
    `${where.join('; ')}, where the members look for ${it}: if ${is} to stay there, ${first}tell them: \`kv reconfigure ${list.join(',')}\``,
  ];
}

function describeCatchUp({ decidedIndex }: StatusOfNode, catchUp: CatchUpStatus): string {
  const { stage, bytesReceived, bytesTotal, targetIndex, donors, lackOfRoom } = catchUp;
  const total = bytesTotal === undefined ? '' : ` of ${formatBytes(bytesTotal)}`;
  const from = donors.length === 0 ? '' : `, from ${nodes(donors.map(({ id }) => id))}`;
  const far = `${stage}, at ${decidedIndex ?? '-'} of ${targetIndex}, received ${formatBytes(bytesReceived)}${total}${from}`;
  return lackOfRoom === undefined ? far : `${far}; it waits, for it has ${describeLackOfRoom(lackOfRoom)}`;
}

function nodes(ids: readonly number[]): string {
  return `${ids.length > 1 ? 'nodes' : 'node'} ${ids.join(', ')}`;
}

/** The present one stands in the first line: only what came before it is told, the newest first. */
function describeHistory(history: readonly ConfigurationSummary[]): string[] {
  const past = history.slice(0, -1).reverse().slice(0, historyShown);
  const ends = history.slice(1).reverse();
  return past.map(({ configurationId, startIndex, members }, at) => {
    const end = ends[at]?.startIndex;
    return `before: configuration ${configurationId} with members ${members.join(', ')}, from index ${startIndex} to ${end}`;
  });
}
