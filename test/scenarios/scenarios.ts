import type { NodeId } from '../../src/omnipaxos/index.ts';
import { VirtualCluster } from './virtual-cluster.ts';

/** What happens to a cluster that works. */
export interface Scenario {
  readonly name: string;
  readonly nodes: number;
  readonly what: string;
  /** True where PROTOCOL allows no leader change at all, or where the leader keeps its quorum. */
  readonly keepsLeader: boolean;
  /** Makes the trouble. `others` are the nodes but the leader, in an order that the seed gives. */
  readonly begin: (cluster: VirtualCluster, leader: NodeId, others: readonly NodeId[]) => void;
  /** Ends it. */
  readonly end: (cluster: VirtualCluster, leader: NodeId, others: readonly NodeId[]) => void;
}

/** What came of one seed. Times in election timeouts. */
export interface Measured {
  readonly seed: number;
  /** The longest time without a decision, from the beginning of the trouble to its end. */
  readonly downtime: number;
  /** Ballots that came to lead before the first entry proposed after the beginning was decided … */
  readonly changesBeforeRecovery: number;
  /** … from then to the end of the trouble … */
  readonly changesAfterRecovery: number;
  /** … and after the end. */
  readonly changesAfterEnd: number;
  /** The longest time without a decision after the end. */
  readonly gapAfterEnd: number;
  /** In the end all nodes have decided the same, and all of it. */
  readonly isConverged: boolean;
}

const settleFor = 8;
const troubleFor = 20;
const healthyFor = 15;

/** PROTOCOL: "progress within 4 election timeouts in each". */
const downtimeMost = 4;
/** "No gap when the links come back": a pause that a client could tell from the ordinary would be longer than this. */
const gapMost = 0.5;

const heal = (cluster: VirtualCluster) => cluster.healAll();

/** PROTOCOL: "The three cuts it is famous for", and more. */
export const scenarios: readonly Scenario[] = [
  {
    name: 'quorum-loss',
    nodes: 5,
    what: 'all links are cut but those of one hub, not the leader',
    keepsLeader: false,
    begin: (cluster, leader, [hub, ...rest]) => cluster.cutAllBut(...[leader, ...rest].map((pid) => pair(hub, pid))),
    end: heal,
  },
  {
    name: 'constrained election',
    nodes: 5,
    what: 'leader–hub is cut; half a timeout later all but hub–B, hub–D, hub–E: the only possible leader has an old log',
    keepsLeader: false,
    begin: (cluster, leader, [hub, ...rest]) => {
      cluster.cut(leader, hub as NodeId);
      cluster.run(0.5);
      cluster.cutAllBut(...rest.map((pid) => pair(hub, pid)));
    },
    end: heal,
  },
  {
    name: 'chained',
    nodes: 3,
    what: 'only leader–follower is cut; the third sees both',
    keepsLeader: true,
    begin: (cluster, leader, [end]) => cluster.cut(leader, end as NodeId),
    end: heal,
  },
  {
    name: 'bridge',
    nodes: 5,
    what: 'two groups of three that share one node; the leader is anywhere',
    keepsLeader: true,
    begin: (cluster) => {
      const [a, b, bridge, c, d] = cluster.random.shuffle(cluster.ids);
      cluster.cutAllBut(pair(a, b), pair(a, bridge), pair(b, bridge), pair(c, d), pair(c, bridge), pair(d, bridge));
    },
    end: heal,
  },
  {
    name: 'ring',
    nodes: 5,
    what: 'each sees two neighbours only',
    keepsLeader: true,
    begin: (cluster) => {
      const ring = cluster.random.shuffle(cluster.ids);
      cluster.cutAllBut(...ring.map((pid, at) => pair(pid, ring[(at + 1) % ring.length])));
    },
    end: heal,
  },
  {
    name: 'one-way link',
    nodes: 3,
    what: 'one direction between the leader and a follower is cut',
    keepsLeader: true,
    begin: (cluster, leader, [follower]) => {
      const [from, to] = cluster.random.shuffle(pair(leader, follower));
      cluster.cutOneWay(from as NodeId, to as NodeId);
    },
    end: heal,
  },
  {
    name: 'deaf leader',
    nodes: 5,
    what: 'all hear the leader, which hears nobody',
    keepsLeader: false,
    begin: (cluster, leader, others) => {
      for (const other of others) cluster.cutOneWay(other, leader);
    },
    end: heal,
  },
  {
    name: 'mute leader',
    nodes: 5,
    what: 'the leader hears all, and nobody hears it',
    keepsLeader: false,
    begin: (cluster, leader, others) => {
      for (const other of others) cluster.cutOneWay(leader, other);
    },
    end: heal,
  },
  {
    name: 'two hubs',
    nodes: 7,
    what: 'two hubs see all, or all but each other; the rest, the leader among them, see the hubs only',
    keepsLeader: false,
    begin: (cluster, leader, [hub, other, ...rest]) => {
      const kept = [leader, ...rest].flatMap((pid) => [pair(hub, pid), pair(other, pid)]);
      cluster.cutAllBut(...kept, ...(cluster.random.chance(0.5) ? [pair(hub, other)] : []));
    },
    end: heal,
  },
  {
    name: 'random links',
    nodes: 7,
    what: 'each link is cut or not, by chance; one node sees a majority, maybe the leader',
    keepsLeader: false,
    begin: (cluster) => cluster.cutAllBut(...someLinks(cluster)),
    end: heal,
  },
  {
    name: 'returning node',
    nodes: 5,
    what: 'a follower stops, and starts again on its disk',
    keepsLeader: true,
    begin: (cluster, _leader, [follower]) => cluster.crash(follower as NodeId),
    end: (cluster, _leader, [follower]) => cluster.restart(follower as NodeId),
  },
  {
    name: 'returning leader',
    nodes: 5,
    what: 'the leader stops, and starts again on its disk',
    keepsLeader: false,
    begin: (cluster, leader) => cluster.crash(leader),
    end: (cluster, leader) => cluster.restart(leader),
  },
  {
    name: 'isolated leader',
    nodes: 5,
    what: 'all links of the leader are cut',
    keepsLeader: false,
    begin: (cluster, leader) => cluster.isolate(leader),
    end: heal,
  },
];

/** Runs a scenario on what `seed` says of delays, phases and who plays which part. */
export function runScenario(scenario: Scenario, seed: number): Measured {
  const cluster = new VirtualCluster(seed, scenario.nodes);
  // The trouble begins at any point of an election round.
  cluster.run(settleFor + cluster.random.next());
  const { leader } = cluster;
  if (leader === undefined) throw new Error(`seed ${seed}: no leader within ${settleFor} election timeouts`);
  const others = cluster.random.shuffle(cluster.ids.filter((pid) => pid !== leader));
  const beginAt = cluster.now;
  scenario.begin(cluster, leader, others);
  const cutAt = cluster.now;
  cluster.run(troubleFor);
  const endAt = cluster.now;
  scenario.end(cluster, leader, others);
  cluster.run(healthyFor);
  const isNew = ({ proposedAt }: { readonly proposedAt: number }) => proposedAt >= cutAt;
  const recoveredAt = cluster.decisions.find(isNew)?.at ?? Number.POSITIVE_INFINITY;
  const changes = (from: number, to: number) => cluster.leaderships.filter(({ at }) => at > from && at <= to).length;
  return {
    seed,
    downtime: longestGap(cluster.decisions.filter(isNew), cutAt, endAt),
    changesBeforeRecovery: changes(beginAt, Math.min(recoveredAt, endAt)),
    changesAfterRecovery: changes(recoveredAt, endAt),
    changesAfterEnd: changes(endAt, Number.POSITIVE_INFINITY),
    gapAfterEnd: longestGap(cluster.decisions, endAt, cluster.now),
    isConverged: cluster.isConverged,
  };
}

/** Which requirements of PROTOCOL a run breaks, in words. */
export function breaches(scenario: Scenario, measured: Measured): string[] {
  const { downtime, changesBeforeRecovery, changesAfterRecovery, changesAfterEnd, gapAfterEnd, isConverged } = measured;
  const found: string[] = [];
  if (downtime > downtimeMost) found.push(`down for ${downtime.toFixed(2)} election timeouts, ${downtimeMost} at most`);
  if (scenario.keepsLeader && changesBeforeRecovery > 0)
    found.push('a leader change, although the leader has its quorum');
  if (changesAfterRecovery > 0) found.push(`${changesAfterRecovery} leader changes after recovery`);
  if (changesAfterEnd > 0) found.push(`${changesAfterEnd} leader changes after the end of the trouble`);
  if (gapAfterEnd > gapMost)
    found.push(`a gap of ${gapAfterEnd.toFixed(2)} election timeouts after the end of the trouble`);
  if (!isConverged) found.push('not all nodes have decided all in the end');
  return found;
}

function longestGap(decisions: readonly { readonly at: number }[], from: number, to: number): number {
  let last = from;
  let longest = 0;
  for (const { at } of decisions) {
    if (at < from || at > to) continue;
    longest = Math.max(longest, at - last);
    last = at;
  }
  return Math.max(longest, to - last);
}

/** Links of chance, with which one node at least sees a majority. */
function someLinks(cluster: VirtualCluster): readonly (readonly [NodeId, NodeId])[] {
  const { ids, random } = cluster;
  for (;;) {
    const links = ids.flatMap((a) => ids.filter((b) => a < b && random.chance(0.4)).map((b) => pair(a, b)));
    const seen = (pid: NodeId) => links.filter((link) => link.includes(pid)).length + 1;
    if (ids.some((pid) => seen(pid) > ids.length / 2)) return links;
  }
}

/** A pair of nodes; both are there by the number of nodes of the scenario. */
const pair = (a: NodeId | undefined, b: NodeId | undefined): readonly [NodeId, NodeId] => [a as NodeId, b as NodeId];
