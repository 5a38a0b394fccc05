import { describe, expect, it } from 'vitest';
import {
  type EnoughLeft,
  enoughLeft,
  isJoining,
  mayHaveGoneOn,
  newestConfiguration,
} from '../../src/backup/enough-left.ts';
import { lacksDecided, openChange, planSalvage, type Salvage } from '../../src/backup/survivors.ts';
import { toByteString } from '../../src/base/bytes.ts';
import type { Configuration } from '../../src/cluster/configuration.ts';
import type { NodeId } from '../../src/omnipaxos/ballot.ts';
import type { DirectoryReading } from '../../src/storage/directory/read-directory.ts';
import { type Ask, Client, Cluster } from '../replica/cluster.ts';
import { Random } from '../simulation/random.ts';
import { reading } from './simulated-reading.ts';

const schedules = 300;
const nodes: readonly NodeId[] = [1, 2, 3, 4, 5];

/** The end of a cluster, with what was acknowledged, key → value. */
interface Ended {
  readonly cluster: Cluster;
  readonly acknowledged: ReadonlyMap<string, string>;
}

function endAll(cluster: Cluster): void {
  for (const id of cluster.running) cluster.crash(id);
}

function readingsOf({ cluster }: Ended, ids: readonly NodeId[]): DirectoryReading[] {
  return ids.map((id) => reading(cluster.disk(id)));
}

/** Node 1 and two that are new take the place of 1, 2, 3. All end before the new ones have anything. */
function endBeforeTheyHaveData(): Ended {
  const cluster = new Cluster([1, 2, 3]);
  const client = new Client(cluster, cluster.elect());
  const asks = Array.from({ length: 20 }, (_, nth) => client.put(1, `k${nth}`, `v${nth}`, 5000));
  cluster.until('all is written', () => asks.every(({ answer }) => answer?.type === 'outcome'));
  cluster.start(4);
  cluster.start(5);
  cluster.loses = ({ to, message }) => to > 3 && ['LogSegment', 'StateChunk'].includes(message.payload.type);
  cluster.reconfigure(1, [1, 4, 5], 60_000);
  const hasEntered = (id: NodeId) => cluster.disk(id).log.configuration?.configurationId === 2;
  cluster.until('all have taken it up', () => nodes.every(hasEntered));
  cluster.timeouts(2);
  endAll(cluster);
  cluster.loses = () => false;
  return { cluster, acknowledged: new Map(asks.map((_, nth) => [`k${nth}`, `v${nth}`])) };
}

/** Writes, and a change of members or two, in the midst of which one node after the other ends. */
function endWhileTheyJoin(random: Random): Ended {
  const cluster = new Cluster([1, 2, 3], {
    checkpointTicks: random.between(3, 40),
    logTailEntries: random.between(1, 20),
  });
  const client = new Client(cluster, cluster.elect());
  const asked: { key: string; value: string; ask: Ask }[] = [];
  const write = (id: NodeId) => {
    const [key, value] = [`k${asked.length}`, `v${asked.length}`];
    if (cluster.isRunning(id)) asked.push({ key, value, ask: client.put(id, key, value, 5000) });
  };
  const change = (members: readonly NodeId[]) => {
    const [leader] = cluster.leaders;
    if (leader !== undefined) cluster.reconfigure(leader, members, 60_000);
  };
  if (random.below(3) === 0) cluster.isolate(random.between(1, 3));
  for (let count = random.between(5, 40); count > 0; count--) {
    write(random.between(1, 3));
    cluster.tick(random.below(3));
  }
  cluster.heal();
  cluster.start(4);
  cluster.start(5);
  cluster.tick(random.below(20));
  cluster.latencyTicks = random.between(1, 4);
  change([random.between(1, 3), 4, 5]);
  if (random.below(4) === 0) cluster.isolate(random.between(1, 3));
  const ends = nodes.map((id) => ({ id, at: random.between(1, id > 3 ? 30 : 60) }));
  for (let tick = 1; tick <= 60; tick++) {
    if (random.below(3) === 0) write(random.between(1, 5));
    if (tick === 25 && random.below(2) === 0) change([1, 2, 3]);
    cluster.tick();
    for (const { id, at } of ends) if (at === tick) cluster.crash(id);
  }
  cluster.latencyTicks = 0;
  const done = asked.filter(({ ask }) => ask.answer?.type === 'outcome');
  return { cluster, acknowledged: new Map(done.map(({ key, value }) => [key, value])) };
}

/** Starts these on what they have, and nobody else. False if nobody ever leads in that configuration or a later one. */
function goOn(cluster: Cluster, ids: readonly NodeId[], configurationId: number): boolean {
  cluster.heal();
  for (const id of ids) cluster.start(id);
  const leads = (id: NodeId) => (cluster.replica(id).voter?.configurationId ?? 0) >= configurationId;
  for (let tick = 0; tick < 1000; tick++) {
    if (cluster.leaders.some(leads)) return true;
    cluster.tick();
  }
  return false;
}

function expectAll({ cluster, acknowledged }: Ended, what: string): void {
  const leader = cluster.elect();
  for (const [key, value] of acknowledged) {
    const read = cluster.get(leader, key, 60_000);
    cluster.until(`${what}: ${key} is read`, () => read.answer !== undefined);
    const record = read.answer?.type === 'record' ? read.answer.record : undefined;
    expect(record && toByteString(record.value), `${what}: ${key}`).toBe(value);
  }
}

function salvageOf(readings: readonly DirectoryReading[]): Salvage {
  const salvage = planSalvage(readings);
  if (salvage === undefined) throw new Error('nothing is left');
  return salvage;
}

describe('members that have nothing yet', () => {
  const whoIsEnough = (...ids: NodeId[]): [EnoughLeft | undefined, Ended, DirectoryReading[]] => {
    const ended = endBeforeTheyHaveData();
    const readings = readingsOf(ended, ids);
    return [enoughLeft(readings), ended, readings];
  };

  it('are not enough by themselves: they come to nothing', () => {
    const [enough, { cluster }, readings] = whoIsEnough(4, 5);
    expect(readings.map(isJoining)).toEqual([true, true]);
    expect(enough).toBeUndefined();
    expect(lacksDecided(salvageOf(readings)), 'and all that there was is lost with the others').toBe(true);
    expect(mayHaveGoneOn(readings), 'nothing was decided without them').toBe(false);
    expect(goOn(cluster, [4, 5], 2)).toBe(false);
  });

  it('are enough with a former member, which gives them what they lack', () => {
    const [enough, ended] = whoIsEnough(2, 4, 5);
    expect(enough).toMatchObject({ members: [4, 5], givers: [2], strangers: [] });
    expect(goOn(ended.cluster, [2, 4, 5], 2)).toBe(true);
    expectAll(ended, 'with a former member');
  });

  it('are enough with a member that is complete', () => {
    const [enough, ended] = whoIsEnough(1, 2, 5);
    expect(enough).toMatchObject({ members: [1, 5], givers: [] });
    expect(goOn(ended.cluster, [1, 5], 2)).toBe(true);
    expectAll(ended, 'with a member');
  });

  it('beside a former member: that one is the source, and may lack what was decided since', () => {
    const [enough, , readings] = whoIsEnough(2, 4);
    expect(enough).toBeUndefined();
    const salvage = salvageOf(readings);
    expect(salvage.base.identity.nodeId).toBe(2);
    expect(salvage).toMatchObject({ certainIndex: readings[1]?.configuration?.startIndex, tail: undefined });
    expect(lacksDecided(salvage)).toBe(false);
    expect(mayHaveGoneOn(readings)).toBe(true);
  });

  it('alone: what the others decided may be lost, and what was before surely is', () => {
    const [enough, , readings] = whoIsEnough(4);
    expect(enough).toBeUndefined();
    expect(lacksDecided(salvageOf(readings))).toBe(true);
    expect(mayHaveGoneOn(readings)).toBe(true);
  });
});

it('of those that are enough it is told where only cluster files can say how they find each other', () => {
  const cluster = new Cluster([1, 2, 3]);
  const first = cluster.elect();
  for (const id of [4, 5, 6]) cluster.start(id);
  cluster.tick(2);
  cluster.reconfigureTo(first, [4, 5, 6]);
  cluster.converge(4, 5, 6);
  for (const id of [1, 2, 3]) cluster.crash(id);
  const leader = cluster.elect();
  const sleeper = [4, 5, 6].find((id) => id !== leader) as NodeId;
  cluster.timeouts(4);
  cluster.isolate(sleeper);
  for (const id of [7, 8, 9]) cluster.start(id);
  cluster.tick(2);
  cluster.loses = ({ to, message }) => to > 6 && ['LogSegment', 'StateChunk'].includes(message.payload.type);
  cluster.reconfigure(leader, [7, 8, 9], 60_000);
  const hasEntered = (id: NodeId) => cluster.disk(id).log.configuration?.configurationId === 3;
  cluster.until('they have taken it up', () => [7, 8].every(hasEntered));
  endAll(cluster);
  const readings = readingsOf({ cluster, acknowledged: new Map() }, [sleeper, 7, 8]);
  expect(enoughLeft(readings)).toMatchObject({ members: [7, 8], givers: [sleeper], strangers: [sleeper] });
});

it('a change of members that was accepted and not decided is told', () => {
  const cluster = new Cluster([1, 2, 3]);
  const leader = cluster.elect();
  cluster.start(4);
  cluster.start(5);
  cluster.loses = ({ to, message }) => to === leader && message.payload.type === 'Accepted';
  cluster.reconfigure(leader, [1, 4, 5], 60_000);
  cluster.timeouts(1);
  const accepted = cluster.running.filter((id) => cluster.log(id).sequence.endIndex > 0);
  endAll(cluster);
  const readings = readingsOf({ cluster, acknowledged: new Map() }, accepted);
  const enough = enoughLeft(readings);
  expect(enough?.configuration.configurationId).toBe(1);
  expect(openChange(readings, enough?.configuration as Configuration)).toEqual([1, 4, 5]);
});

describe('what is said of the nodes that are left while others join', () => {
  it(`is so: they go on with all that was acknowledged, or do not go on (${schedules} schedules)`, () => {
    const seen = { members: 0, givers: 0, stuck: 0 };
    for (let seed = 1; seed <= schedules; seed++) {
      const random = new Random(seed);
      const ended = endWhileTheyJoin(random);
      const some = readingsOf(ended, nodes).filter(() => random.below(3) > 0);
      const newest = newestConfiguration(some);
      // Who can go on once it is decided is another question.
      if (newest === undefined || openChange(some, newest)) continue;
      const enough = enoughLeft(some);
      const ids = enough ? [...enough.members, ...enough.givers] : some.map(({ identity }) => identity.nodeId);
      const goesOn = goOn(ended.cluster, ids, newest.configurationId);
      expect(goesOn, `seed ${seed}: ${ids}`).toBe(enough !== undefined);
      if (enough) expectAll(ended, `seed ${seed}`);
      seen[enough === undefined ? 'stuck' : enough.givers.length === 0 ? 'members' : 'givers']++;
    }
    expect(seen.members).toBeGreaterThan(50);
    expect(seen.givers).toBeGreaterThan(5);
    expect(seen.stuck).toBeGreaterThan(20);
  }, 60_000);
});
