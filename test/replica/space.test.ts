import { describe, expect, it } from 'vitest';
import { encodeCommand, reportSpace } from '../../src/kv/command.ts';
import type { NodeId } from '../../src/omnipaxos/ballot.ts';
import type { SpaceMeasured } from '../../src/replica/events.ts';
import { Client, Cluster } from './cluster.ts';

const empty = { usedBytes: 0, logSurplusIndex: 0, logAmpleIndex: 0, isWaiting: false };
const ok: SpaceMeasured = { ...empty, level: 'ok', capacityBytes: 2 ** 30 };
const full: SpaceMeasured = { ...empty, level: 'full', usedBytes: 61 * 2 ** 20, capacityBytes: 64 * 2 ** 20 };

const put = (session: number, number: number) => {
  const bytes = new Uint8Array([107]);
  const command = { kind: 'put', session, number, acknowledgedBelow: 0, key: bytes, value: bytes } as const;
  return { type: 'write', command: encodeCommand(command) } as const;
};

function fullNodes(cluster: Cluster, id: NodeId): readonly number[] {
  return cluster.replica(id).status().fullNodes ?? [];
}

/** A cluster, a follower in it, and a session. */
function start(settings = {}) {
  const cluster = new Cluster([1, 2, 3], settings);
  const leader = cluster.elect();
  const follower = cluster.running.find((id) => id !== leader) as NodeId;
  const client = new Client(cluster, leader);
  client.putAcknowledged(leader, 'k', 'a');
  return { cluster, leader, follower, client };
}

describe('the space of a node', () => {
  it('that is full is known to all by a decision, and so is that it has room again', () => {
    const { cluster, leader, follower } = start();
    cluster.measureSpace(follower, full);
    cluster.until('all know it', () => [1, 2, 3].every((id) => `${fullNodes(cluster, id)}` === `${follower}`));
    expect(cluster.replica(follower).status().space).toEqual({
      level: 'full',
      usedBytes: full.usedBytes,
      capacityBytes: full.capacityBytes,
    });
    expect(cluster.askNow(leader, put(1, 99))).toEqual({
      type: 'failed',
      code: 'noSpace',
      outcome: 'notApplied',
      message:
        `node ${follower} has no space (61.0 MiB of 64.0 MiB used, 95 %): ` +
        'delete keys, give it a larger disk or quota, or replace it with kv member replace',
    });
    cluster.measureSpace(follower, ok);
    cluster.until('nobody is full', () => [1, 2, 3].every((id) => fullNodes(cluster, id).length === 0));
    expect(new Set([1, 2, 3].map((id) => cluster.replica(id).stateHash())).size).toBe(1);
  });

  it('is said anew in each configuration, so that one who is rebuilt on a disk with room keeps nobody from putting', () => {
    const { cluster, leader, follower, client } = start();
    const other = [1, 2, 3].find((id) => id !== leader && id !== follower) as NodeId;
    cluster.measureSpace(follower, full);
    cluster.measureSpace(other, full);
    cluster.until('both are known', () => fullNodes(cluster, leader).length === 2);
    cluster.crash(follower);
    cluster.wipe(follower);
    cluster.start(follower);
    cluster.measureSpace(follower, ok);
    cluster.tick(5);
    // It takes as long as it takes until it has all data.
    cluster.loses = ({ to, message: { payload } }) =>
      to === follower && (payload.type === 'LogSegment' || payload.type === 'StateChunk');
    const nodes = [1, 2, 3].map((id) => ({
      ...{ id, address: `node-${id}:7000` },
      ...(id === follower && { isRebuilt: true }),
    }));
    const ask = cluster.ask(leader, { type: 'reconfigure', nodes }, 60_000);
    cluster.until('it is rebuilt', () => ask.answer !== undefined);
    expect(ask.answer?.type).toBe('reconfigured');
    cluster.until('the other one has said so again', () => `${fullNodes(cluster, leader)}` === `${other}`);
    cluster.measureSpace(other, ok);
    cluster.until('nobody is full', () => fullNodes(cluster, leader).length === 0);
    expect(cluster.replica(follower).status().state).toBe('joining');
    client.putAcknowledged(leader, 'k', 'b');
  });

  it('is reported again until it is known: a report that is lost with its leader does not stay lost', () => {
    const { cluster, leader, follower } = start();
    cluster.isolate(leader);
    cluster.measureSpace(leader, full);
    cluster.timeouts(10);
    expect(fullNodes(cluster, follower)).toEqual([]);
    cluster.heal();
    cluster.until('all know it', () => [1, 2, 3].every((id) => `${fullNodes(cluster, id)}` === `${leader}`));
  });

  it('holds nobody up once the node is no member', () => {
    const { cluster, leader, follower, client } = start();
    cluster.measureSpace(follower, full);
    cluster.until('the leader knows it', () => fullNodes(cluster, leader).length === 1);
    cluster.reconfigureTo(
      leader,
      [1, 2, 3].filter((id) => id !== follower),
    );
    expect(fullNodes(cluster, leader)).toEqual([]);
    client.putAcknowledged(leader, 'k', 'b');
  });

  it('is why a put was not decided in time where the disk takes none', () => {
    const cluster = new Cluster([1]);
    cluster.elect();
    cluster.measureSpace(1, { ...ok, isWaiting: true, waitsFor: 'ENOSPC: no space left on device, open' });
    cluster.stallDisk(1);
    const ask = cluster.ask(1, put(1, 99));
    cluster.until('the time is over', () => ask.answer !== undefined);
    expect(ask.answer).toEqual({
      type: 'failed',
      code: 'timeout',
      outcome: 'unknown',
      message:
        'the command was proposed but not decided in time: it may yet be applied; on node 1 the disk is full: ' +
        'writes wait until there is room (0 B of 1.0 GiB used, 0 %; ENOSPC: no space left on device, open)',
    });
  });

  it('is why no session was opened there', () => {
    const cluster = new Cluster([1]);
    cluster.elect();
    cluster.measureSpace(1, { ...ok, isWaiting: true, waitsFor: 'ENOSPC: no space left on device, open' });
    cluster.stallDisk(1);
    const opening = encodeCommand({ kind: 'openSession', session: 0, number: 1, acknowledgedBelow: 0 });
    const ask = cluster.ask(1, { type: 'write', command: opening });
    cluster.until('the time is over', () => ask.answer !== undefined);
    expect(ask.answer).toMatchObject({
      code: 'timeout',
      outcome: 'unknown',
      message: expect.stringMatching(
        /^no majority decided that in time; on node 1 the disk is full: writes wait .*ENOSPC/,
      ),
    });
  });

  it('is no matter of clients', () => {
    const { cluster, leader } = start();
    const report = { nodeId: 2, configurationId: 1, isFull: true, usedBytes: 1, capacityBytes: 1 };
    const answer = cluster.askNow(leader, { type: 'write', command: reportSpace(report) });
    expect(answer).toMatchObject({ type: 'failed', code: 'invalid', outcome: 'notApplied' });
    expect(fullNodes(cluster, leader)).toEqual([]);
  });

  it('lets go of log that there is no room for, as soon as the state covers it', () => {
    const { cluster, leader, client } = start({ checkpointTicks: 5 });
    for (let at = 0; at < 20; at++) client.putAcknowledged(leader, `k${at}`, 'v');
    cluster.tick(20);
    const { sequence } = cluster.log(leader);
    expect(sequence.trimmedIndex).toBe(0);
    cluster.measureSpace(leader, { ...ok, logSurplusIndex: Number.MAX_SAFE_INTEGER });
    expect(sequence.trimmedIndex).toBe(cluster.state(leader).durableIndex);
    expect(sequence.trimmedIndex).toBeGreaterThan(20);
  });

  it('bounds what one checkpoint holds: nothing more is applied until the next may begin', () => {
    const { cluster, leader, follower, client } = start({ smallCheckpointBytes: 4 * 8192, checkpointTicks: 1000 });
    cluster.measureSpace(follower, { ...full, level: 'low', capacityBytes: 1 });
    cluster.isolate(follower);
    for (let at = 0; at < 50; at++) client.putAcknowledged(leader, `k${at}`, 'v');
    cluster.heal();
    let most = 0;
    cluster.until('it has them all', () => {
      most = Math.max(most, cluster.state(follower).staged.changes);
      return cluster.replica(follower).appliedIndex === cluster.replica(leader).appliedIndex;
    });
    expect(most).toBeLessThanOrEqual(4);
    expect(cluster.state(follower).durableIndex).toBeGreaterThan(40);
  });
});
