import { describe, expect, it } from 'vitest';
import { fromByteString } from '../../src/base/bytes.ts';
import { firstIndexAfter, type Origin } from '../../src/cluster/origin.ts';
import { encodeCommand } from '../../src/kv/command.ts';
import { MemoryStateStore } from '../../src/kv/memory-state-store.ts';
import type { SnapshotRow } from '../../src/kv/state-store.ts';
import type { NodeId } from '../../src/omnipaxos/ballot.ts';
import { Random } from '../simulation/random.ts';
import type { SimulatedDisk } from '../simulation/simulated-disk.ts';
import { Client, Cluster } from './cluster.ts';

const formerCluster = 'aaaaaaaaaaaaaaaa';
const backupIndex = 1000;
const backup: Origin = {
  kind: 'restored',
  clusterId: formerCluster,
  index: firstIndexAfter(backupIndex),
  fingerprint: '00000000000000b1',
  madeAt: '2026-01-02T03:04:05.678Z',
};
const otherBackup: Origin = { ...backup, fingerprint: '00000000000000b2' };
const rows: SnapshotRow[] = Array.from({ length: 50 }, (_, at) => ({
  type: 'pair',
  key: `key-${String(at).padStart(3, '0')}`,
  value: fromByteString(`value ${at}`),
  revision: at + 1,
}));

/** What `seedDataDirectory` puts on a real disk. */
function seed(disk: SimulatedDisk, origin: Origin): void {
  const state = new MemoryStateStore(disk.state);
  state.beginInstall();
  state.installRows(rows);
  void state.finishInstall(origin.index);
  disk.log.sequence.reset(origin.index);
  disk.log.paxos.decidedIndex = origin.index;
  disk.origin = origin;
}

/** A cluster of three, some of whose nodes begin with data. */
function clusterWith(origins: Readonly<Record<NodeId, Origin>>): Cluster {
  return new Cluster([1, 2, 3], {}, (disk) => {
    const origin = origins[disk.nodeId];
    if (origin) seed(disk, origin);
  });
}

/** All that members of a cluster that began with `backup` must hold and do. */
function expectRestored(cluster: Cluster): void {
  const leader = cluster.elect();
  const client = new Client(cluster, leader);
  const revision = client.putAcknowledged(leader, 'after', 'x');
  expect(revision, 'revisions go on above all of the former cluster').toBeGreaterThan(backup.index);
  cluster.until('all vote', () => [1, 2, 3].every((id) => cluster.replica(id).voter !== undefined));
  cluster.converge(1, 2, 3);
  for (const id of [1, 2, 3]) {
    expect(cluster.localValue(id, 'key-007')).toBe('value 7');
    expect(cluster.localValue(id, 'after')).toBe('x');
    expect(cluster.replica(id).stateHash()).toBe(cluster.replica(1).stateHash());
    expect(cluster.disk(id).log.configuration).toMatchObject({
      configurationId: 1,
      startIndex: backup.index,
      origin: backup,
    });
  }
}

describe('a cluster forms with members that begin with data', () => {
  it.each([
    ['one of three', { 2: backup }],
    ['two of three', { 1: backup, 3: backup }],
    ['all', { 1: backup, 2: backup, 3: backup }],
  ])('%s', (_, origins) => {
    expectRestored(clusterWith(origins));
  });

  it('and those that begin empty do not vote, and elect nobody, until they have that data', () => {
    const cluster = clusterWith({ 2: backup });
    cluster.until('it is formed', () => [1, 2, 3].every((id) => cluster.replica(id).status().clusterId !== undefined));
    cluster.crash(2);
    cluster.timeouts(40);
    for (const id of [1, 3]) {
      if (cluster.replica(id).voter === undefined) expect(cluster.replica(id).status().state).toBe('joining');
      else expect(cluster.localValue(id, 'key-007'), 'a voter has the data').toBe('value 7');
    }
    cluster.start(2);
    expectRestored(cluster);
  });

  it('and a crash of an empty member at any moment of the formation leaves it to begin again', () => {
    for (let ticks = 1; ticks <= 30; ticks += 2) {
      const cluster = clusterWith({ 1: backup });
      cluster.tick(ticks);
      cluster.crash(3);
      cluster.start(3);
      cluster.tick(2);
      cluster.crash(1);
      cluster.start(1);
      expectRestored(cluster);
    }
  });

  it('under crashes and cuts in any order: nobody ever votes without the data, and all have it in the end', () => {
    for (let seed = 1; seed <= 80; seed++) {
      const random = new Random(seed);
      const nodes = [1, 2, 3] as const;
      const cluster = clusterWith(
        Object.fromEntries(nodes.filter((id) => id === 1 || random.below(3) === 0).map((id) => [id, backup])),
      );
      for (let step = 0; step < 40; step++) {
        const id = random.between(1, 3);
        const kind = random.below(6);
        if (kind === 0 && cluster.isRunning(id)) cluster.crash(id);
        else if (kind <= 2 && !cluster.isRunning(id)) cluster.start(id);
        else if (kind === 3) cluster.cut([id], [random.between(1, 3)]);
        else if (kind === 4) cluster.heal();
        cluster.tick(random.below(4));
        for (const voter of cluster.running.filter((running) => cluster.replica(running).voter)) {
          expect(cluster.replica(voter).appliedIndex, `seed ${seed}`).toBeGreaterThanOrEqual(backup.index);
          expect(cluster.localValue(voter, 'key-007'), `seed ${seed}`).toBe('value 7');
        }
      }
      cluster.heal();
      for (const id of nodes) if (!cluster.isRunning(id)) cluster.start(id);
      expectRestored(cluster);
    }
  });

  it('but not with different backups: nobody votes, and each that sees it says which', () => {
    const cluster = clusterWith({ 1: backup, 2: otherBackup });
    const write = encodeCommand({ kind: 'openSession', session: 0, number: 1, acknowledgedBelow: 0 });
    const asks = [1, 2, 3].map((id) => cluster.ask(id, { type: 'write', command: write }, 2000));
    cluster.until('they are told', () => asks.every((ask) => ask.answer !== undefined));
    for (const [at, ask] of asks.entries()) {
      expect(cluster.replica(at + 1).status().state).toBe('forming');
      expect(ask.answer).toMatchObject({ type: 'failed', code: 'noMajority', outcome: 'notApplied' });
      if (ask.answer?.type !== 'failed') throw new Error('no failure');
      expect(ask.answer.message).toContain(backup.fingerprint);
      expect(ask.answer.message).toContain(otherBackup.fingerprint);
      expect(ask.answer.message).toMatch(/node 1 .*node 2|node 2 .*node 1/);
    }
  });

  it('and a later configuration goes on with the origin', () => {
    const cluster = clusterWith({ 1: backup });
    cluster.elect();
    cluster.start(4);
    cluster.reconfigureTo(1, [1, 2, 4]);
    expect(cluster.disk(4).log.configuration?.origin).toEqual(backup);
    expect(cluster.disk(2).log.configuration).toMatchObject({ configurationId: 2, origin: backup });
    expect(cluster.localValue(4, 'key-007')).toBe('value 7');
  });
});

describe('data that does not belong to the cluster stays out of it', () => {
  it('a node restored from a backup has no place in a cluster that formed without it', () => {
    const cluster = new Cluster([1, 2, 3], {}, (disk) => {
      if (disk.nodeId === 4) seed(disk, backup);
    });
    const leader = cluster.elect();
    new Client(cluster, leader).putAcknowledged(leader, 'k', 'v');
    cluster.start(4);
    const ask = cluster.reconfigure(1, [1, 2, 4], 1000);
    cluster.until('it is answered', () => ask.answer !== undefined);
    expect(ask.answer).toMatchObject({ type: 'failed', code: 'unreachable', outcome: 'notApplied' });
    cluster.timeouts(10);
    expect(cluster.replica(4).status()).toMatchObject({ clusterId: undefined, state: 'standby' });
    expect(cluster.replica(4).appliedIndex, 'its own data, untouched').toBe(backup.index);
  });

  it('a member of the former cluster that comes back is refused by a node that is to form the new one', () => {
    const cluster = new Cluster([1, 2, 3], {}, (disk) => {
      if (disk.nodeId === 1) seed(disk, { ...backup, kind: 'recovered' });
      if (disk.nodeId !== 3) return;
      disk.log.clusterId = formerCluster;
      const members = [1, 2, 3].map((id) => ({
        id,
        address: `node-${id}:7000`,
        storageId: id === 3 ? 'd3.0' : `old-${id}`,
      }));
      disk.log.configuration = { configurationId: 1, startIndex: 0, members };
    });
    cluster.timeouts(20);
    expect(cluster.replica(1).status().state).toBe('forming');
    expect(
      cluster
        .notices(1)
        .some((line) => /recovered from cluster aaaaaaaaaaaaaaaa .*set its data directory aside/.test(line)),
    ).toBe(true);
    cluster.crash(3);
    cluster.wipe(3);
    cluster.start(3);
    expectFormed(cluster);
  });
});

function expectFormed(cluster: Cluster): void {
  const leader = cluster.elect();
  new Client(cluster, leader).putAcknowledged(leader, 'after', 'x');
  cluster.converge(1, 2, 3);
  expect(cluster.localValue(3, 'key-007')).toBe('value 7');
}

it('a member is not rebuilt with a directory that was made for a cluster that is yet to form', () => {
  const cluster = new Cluster([1, 2, 3]);
  const leader = cluster.elect();
  const victim = [1, 2, 3].find((id) => id !== leader) as NodeId;
  cluster.crash(victim);
  cluster.wipe(victim);
  seed(cluster.disk(victim), backup);
  cluster.start(victim);
  cluster.tick(5);
  const nodes = [1, 2, 3].map((id) => (id === victim ? { id, isRebuilt: true } : { id }));
  const ask = cluster.ask(leader, { type: 'reconfigure', nodes }, 60_000);
  cluster.until('the rebuild is answered', () => ask.answer !== undefined);
  expect(ask.answer).toMatchObject({
    type: 'failed',
    outcome: 'notApplied',
    message: expect.stringContaining(`start node ${victim} with an empty one`),
  });
  expect(cluster.log(leader).configuration?.configurationId).toBe(1);
});

it('forms once the wrong backup is gone, where only one node sees all: what was wrong before is no reason any more', () => {
  const cluster = clusterWith({ 2: otherBackup, 3: backup });
  cluster.cut([2], [3]);
  cluster.tick(10);
  expect(cluster.askNow(1, { type: 'reconfigure', nodes: [{ id: 1 }] })).toMatchObject({
    message: expect.stringContaining('no cluster forms: '),
  });
  cluster.crash(2);
  cluster.wipe(2);
  cluster.tick(10);
  expect(cluster.askNow(1, { type: 'reconfigure', nodes: [{ id: 1 }] })).toMatchObject({
    message: expect.stringContaining('waiting for node 2'),
  });
  cluster.start(2);
  cluster.tick(20);
  cluster.heal();
  expectRestored(cluster);
});
