import { describe, expect, it } from 'vitest';
import { encodeCommand } from '../../src/kv/command.ts';
import type { NodeId } from '../../src/omnipaxos/ballot.ts';
import type { ReplicaSettings } from '../../src/replica/settings.ts';
import type { StateChunk } from '../../src/wire/peer-message.ts';
import { Client, Cluster } from './cluster.ts';

/** Hardly any log stays below the checkpoints, and little fits into a message: who comes late needs state, in many pieces. */
const manyPieces = { checkpointTicks: 5, logTailEntries: 1, catchUpBytesMax: 100, voteLagEntries: 0 };

describe('catch-up from several donors', () => {
  it('a newcomer pulls one snapshot from all members, the leader gives no more than its share', () => {
    const { cluster, leader } = filled([1, 2, 3], 140);
    cluster.start(4);
    cluster.reconfigureTo(leader, [1, 2, 3, 4]);
    cluster.converge(1, 2, 3, 4);
    expectSameState(cluster, leader, 4);
    const chunks = chunksTo(cluster, 4);
    expect(new Set(chunks.map(({ chunk }) => chunk.index)).size, 'all gave rows of the same index').toBe(1);
    const bytesFrom = [1, 2, 3].map((id) => bytesOf(chunks.filter(({ from }) => from === id)));
    const total = bytesFrom.reduce((sum, bytes) => sum + bytes, 0);
    expect(Math.min(...bytesFrom), 'everyone gave').toBeGreaterThan(total / 12);
    const ofLeader = bytesOf(chunks.filter(({ from }) => from === leader));
    expect(ofLeader).toBeLessThanOrEqual(total * (1 / 3 + 0.1));
  });

  it('rows of one size come in full messages, none of which has to be followed by one for the rest', () => {
    const { cluster, leader, client } = filled([1, 2, 3], 0, { catchUpBytesMax: 4_000 });
    for (let at = 0; at < 400; at++) client.put(leader, `key-${1_000 + at}`, 'x'.repeat(200), 60_000);
    cluster.converge(1, 2, 3);
    cluster.tick(20);
    cluster.start(4);
    cluster.reconfigureTo(leader, [1, 2, 3, 4]);
    cluster.converge(1, 2, 3, 4);
    const chunks = chunksTo(cluster, 4).map(({ chunk }) => chunk.chunk);
    expect(chunks.length).toBeGreaterThan(10);
    // But for the session of the test's client, a row much larger than a message should be.
    expect(chunks.filter((chunk) => chunk && !chunk.done && chunk.last?.type === 'pair').length).toBeLessThanOrEqual(1);
  });

  it('clients are served meanwhile, and what is decided meanwhile comes by the log', () => {
    const { cluster, leader, client } = filled([1, 2, 3], 120);
    cluster.start(4);
    let writes = 0;
    cluster.onArrival = ({ to, message }) => {
      if (to !== 4 || message.payload.type !== 'StateChunk' || writes === 60) return;
      client.put(leader, `during-${writes++}`, 'x');
    };
    cluster.reconfigureTo(leader, [1, 2, 3, 4]);
    cluster.converge(1, 2, 3, 4);
    expect(writes).toBeGreaterThan(20);
    expect(cluster.localValue(4, 'during-7')).toBe('x');
    expectSameState(cluster, leader, 4);
    expect(cluster.sentTo(4, 'LogSegment').flatMap(({ entries }) => entries).length).toBeGreaterThan(0);
  });

  it('a member that was away longer than the log reaches finds an index that donors have not passed, though clients write', () => {
    const { cluster, leader, client } = filled([1, 2, 3, 4], 60);
    const [away, ...present] = others(cluster, leader);
    cluster.isolate(away);
    writeUntilTrimmed(cluster, client, leader, away);
    cluster.heal();
    let written = 0;
    cluster.until('it has all', () => {
      client.put(leader, `under-load-${written++ % 50}`, `${written}`);
      client.put(leader, `under-load-${written++ % 50}`, `${written}`);
      return (
        cluster.state(away).durableIndex > 0 &&
        cluster.sentTo(away, 'StateChunk').length > 0 &&
        isNear(cluster, away, leader)
      );
    });
    const installed = chunksTo(cluster, away);
    const donors = new Set(installed.map(({ from }) => from));
    expect(donors.size, 'several gave of the same snapshot').toBeGreaterThan(1);
    cluster.converge(1, 2, 3, 4);
    for (const id of present) expectSameState(cluster, leader, id);
    expectSameState(cluster, leader, away);
  });

  it('a state for which there is no room beside the present one is not begun before there is', () => {
    const { cluster, leader, client } = filled([1, 2, 3, 4], 60, { snapshotIdleTicks: 20 });
    const [away] = others(cluster, leader);
    cluster.isolate(away);
    writeUntilTrimmed(cluster, client, leader, away);
    const space = { level: 'ok', usedBytes: 50, capacityBytes: 1e9, isWaiting: false } as const;
    const measured = { ...space, logSurplusIndex: 0, logAmpleIndex: 0 };
    cluster.measureSpace(away, { ...measured, stateRoomBytes: 100 });
    cluster.heal();
    const lacks = () => cluster.notices(away).filter((notice) => notice.includes('no room for the state'));
    const lack = () => cluster.replica(away).status().catchUp?.lackOfRoom;
    cluster.until('it says so', () => lacks().length > 0);
    expect(lack()).toMatchObject({ roomBytes: 100 });
    cluster.tick(30);
    expect(lacks(), 'and nothing is asked for a while').toHaveLength(1);
    cluster.until('it says so again', () => lacks().length > 1);
    expect(lack()?.neededBytes).toBeGreaterThan(100);
    expect(cluster.sentTo(away, 'StateChunk')).toEqual([]);
    cluster.measureSpace(away, { ...measured, stateRoomBytes: 1e6 });
    cluster.tick();
    expect(lack(), 'it does not wait until it would ask again').toBeUndefined();
    cluster.tick(15);
    expect(cluster.sentTo(away, 'StateChunk').length).toBeGreaterThan(0);
    cluster.until('it has all', () => isNear(cluster, away, leader));
    cluster.converge(1, 2, 3, 4);
    expectSameState(cluster, leader, away);
  });

  it('a state for which there is no room any more makes room again, and is asked for once there may be enough', () => {
    const { cluster, leader, client } = filled([1, 2, 3, 4], 60, { snapshotIdleTicks: 20 });
    const [away] = others(cluster, leader);
    cluster.isolate(away);
    writeUntilTrimmed(cluster, client, leader, away);
    const space = { usedBytes: 50, capacityBytes: 1e9, isWaiting: false, logSurplusIndex: 0, logAmpleIndex: 0 };
    cluster.measureSpace(away, { ...space, level: 'ok', stateRoomBytes: 1e6 });
    cluster.onArrival = ({ to, message }) => {
      if (to !== away || message.payload.type !== 'StateChunk') return;
      cluster.onArrival = () => {};
      cluster.measureSpace(away, { ...space, level: 'full', stateRoomBytes: 10 });
    };
    cluster.heal();
    const catchUp = () => cluster.replica(away).status().catchUp;
    cluster.until('it gives up', () => catchUp()?.lackOfRoom !== undefined);
    expect(catchUp()?.lackOfRoom?.roomBytes).toBe(10);
    expect(catchUp()?.stage).toBe('plan');
    expect(cluster.state(away).installProgress, 'the rows that were there are gone').toBeUndefined();
    const before = chunksTo(cluster, away).length;
    cluster.tick(30);
    expect(chunksTo(cluster, away)).toHaveLength(before);
    cluster.measureSpace(away, { ...space, level: 'ok', stateRoomBytes: 1e6 });
    cluster.until('it has all', () => isNear(cluster, away, leader));
    cluster.converge(1, 2, 3, 4);
    expectSameState(cluster, leader, away);
  });

  it('a donor that dies in the middle: its share comes from the others', () => {
    const { cluster, leader } = filled([1, 2, 3], 120);
    const [dying] = others(cluster, leader);
    cluster.start(4);
    let chunks = 0;
    cluster.onArrival = ({ from, to, message }) => {
      if (to === 4 && from === dying && message.payload.type === 'StateChunk' && ++chunks === 3) cluster.crash(dying);
    };
    cluster.reconfigureTo(leader, [1, 2, 3, 4]);
    expect(cluster.isRunning(dying)).toBe(false);
    const alive = [1, 2, 3, 4].filter((id) => id !== dying);
    cluster.converge(...alive);
    expectSameState(cluster, leader, 4);
  });

  it('a donor that is not heard until rows come from another one joins it', () => {
    const { cluster, leader } = filled([1, 2, 3], 400);
    cluster.start(4);
    cluster.loses = ({ from, to, message }) =>
      from !== leader && to === 4 && message.payload.type === 'DonorStanding' && chunksTo(cluster, 4).length === 0;
    cluster.reconfigureTo(leader, [1, 2, 3, 4]);
    cluster.converge(1, 2, 3, 4);
    const chunks = chunksTo(cluster, 4);
    expect(chunks[0]?.from, 'the leader begins alone').toBe(leader);
    expect(new Set(chunks.map(({ from }) => from))).toEqual(new Set([1, 2, 3]));
    expect(new Set(chunks.map(({ chunk }) => chunk.index)).size, 'all gave rows of the same index').toBe(1);
    expectSameState(cluster, leader, 4);
  });

  it('a donor whose answers never come is passed over', () => {
    const { cluster, leader } = filled([1, 2, 3], 120);
    const [silent] = others(cluster, leader);
    cluster.start(4);
    let lost = 0;
    cluster.loses = ({ from, to, message }) => {
      const isLost = from === silent && to === 4 && message.payload.type === 'StateChunk';
      if (isLost) lost++;
      return isLost;
    };
    cluster.reconfigureTo(leader, [1, 2, 3, 4]);
    cluster.converge(1, 2, 3, 4);
    expect(lost, 'it was asked').toBeGreaterThan(0);
    expectSameState(cluster, leader, 4);
  });

  it('what does not fit its checksum is not installed, and comes from another donor', () => {
    const { cluster, leader } = filled([1, 2, 3], 120);
    const [damaged] = others(cluster, leader);
    cluster.start(4);
    let bad = 0;
    cluster.onArrival = ({ from, to, message }) => {
      const { payload } = message;
      if (from !== damaged || to !== 4 || payload.type !== 'StateChunk' || !payload.chunk?.last) return;
      const { bytes } = payload.chunk.rows;
      bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
      bad++;
    };
    cluster.reconfigureTo(leader, [1, 2, 3, 4]);
    cluster.converge(1, 2, 3, 4);
    expect(bad).toBeGreaterThan(0);
    expect(bad, 'it is asked no more once that was seen').toBeLessThan(chunksTo(cluster, 4).length / 5);
    expect(cluster.notices(4).join()).toContain(`what node ${damaged} gave to catch up with does not fit its checksum`);
    expectSameState(cluster, leader, 4);
  });

  it('a newcomer that crashes goes on where it was', () => {
    const { cluster, leader } = filled([1, 2, 3], 120);
    cluster.start(4);
    cluster.reconfigure(leader, [1, 2, 3, 4], 60_000);
    cluster.until('half is here', () => chunksTo(cluster, 4).length > 20);
    cluster.crash(4);
    const progress = cluster.disk(4).state.install?.progress;
    expect(progress?.frontier, 'some of it is durable').toBeDefined();
    const sent = cluster.sent.length;
    cluster.start(4);
    cluster.until('it votes', () => cluster.replica(4).voter !== undefined);
    const after = cluster.sent.slice(sent).flatMap(({ to, message: { payload } }) => {
      return to === 4 && payload.type === 'StateChunk' ? [payload] : [];
    });
    expect(new Set(after.map(({ index }) => index))).toEqual(new Set([progress?.index]));
    expect(
      after.some((chunk) => chunk.after === undefined),
      'the first rows are not asked for again',
    ).toBe(false);
    cluster.converge(1, 2, 3, 4);
    expectSameState(cluster, leader, 4);
  });

  it('donors let go of a snapshot once all have it, and hold the log behind it for a while', () => {
    const { cluster, leader, client } = filled([1, 2, 3], 120);
    const open = new Map([1, 2, 3].map((id) => [id, 0]));
    for (const id of [1, 2, 3]) countSnapshots(cluster, id, open);
    cluster.start(4);
    cluster.onArrival = ({ to, message }) => {
      if (to === 4 && message.payload.type === 'StateChunk') client.put(leader, 'during', 'x');
    };
    cluster.reconfigure(leader, [1, 2, 3, 4], 60_000);
    cluster.until('half is here', () => chunksTo(cluster, 4).length > 20);
    expect([...open.values()]).toEqual([1, 1, 1]);
    cluster.until('it votes', () => cluster.replica(4).voter !== undefined);
    expect([...open.values()], 'all were asked for log, and let go').toEqual([0, 0, 0]);
    expect([1, 2, 3].some((id) => cluster.replica(id).status().logHeld?.readers.includes(4))).toBe(true);
    cluster.converge(1, 2, 3, 4);
    expectSameState(cluster, leader, 4);
  });

  it('a newcomer that crashes begins anew if nobody holds that snapshot any more', () => {
    const { cluster, leader, client } = filled([1, 2, 3], 120, { snapshotIdleTicks: 30 });
    cluster.start(4);
    cluster.reconfigure(leader, [1, 2, 3, 4], 60_000);
    cluster.until('half is here', () => chunksTo(cluster, 4).length > 20);
    const index = cluster.disk(4).state.install?.progress.index;
    cluster.crash(4);
    const removal = cluster.ask(leader, { type: 'write', command: client.command('delete', 'k0') }, 60_000);
    cluster.until('the removal is acknowledged', () => removal.answer !== undefined);
    client.putAcknowledged(leader, 'k1', 'changed');
    cluster.tick(60);
    cluster.start(4);
    cluster.until('it votes', () => cluster.replica(4).voter !== undefined);
    cluster.converge(1, 2, 3, 4);
    expect(Math.max(...chunksTo(cluster, 4).map(({ chunk }) => chunk.index))).toBeGreaterThan(index ?? 0);
    expect(cluster.localValue(4, 'k0'), 'rows of the first snapshot are gone').toBeUndefined();
    expectSameState(cluster, leader, 4);
  });

  it('a node that slept through five configurations comes to the present one', () => {
    const { cluster, leader, client } = filled([1, 2, 3, 4], 40);
    const [sleeper, second, third] = others(cluster, leader) as [NodeId, NodeId, NodeId];
    cluster.crash(sleeper);
    cluster.start(5);
    const members = [leader, second, third];
    for (const next of [[...members, 5], members, [...members, 5], members, [...members, 5, sleeper]]) {
      if (next.includes(sleeper)) cluster.reconfigure(leader, next, 60_000);
      else cluster.reconfigureTo(leader, next);
      for (let at = 0; at < 5; at++) client.putAcknowledged(leader, `k${at}`, `of ${next.length} members`);
      cluster.tick(10);
    }
    cluster.start(sleeper);
    cluster.until('it votes', () => cluster.replica(sleeper).voter?.configurationId === 6);
    cluster.converge(leader, second, third, 5, sleeper);
    expectSameState(cluster, leader, sleeper);
    expect(chunksTo(cluster, sleeper).length, 'its log was too far behind').toBeGreaterThan(0);
  });

  it('a log of many small entries is striped, too', () => {
    const { cluster, leader } = filled([1, 2, 3], 300, { logTailEntries: 100_000 });
    cluster.start(4);
    cluster.reconfigureTo(leader, [1, 2, 3, 4]);
    cluster.converge(1, 2, 3, 4);
    const segments = cluster.sent.filter(({ to, message: { payload } }) => {
      return to === 4 && payload.type === 'LogSegment' && payload.entries.length > 0;
    });
    const countOf = (id: NodeId) => segments.filter(({ from }) => from === id).length;
    expect(segments.length).toBeGreaterThan(20);
    for (const id of [1, 2, 3]) expect(countOf(id), `segments of node ${id}`).toBeGreaterThan(segments.length / 10);
    expect(countOf(leader)).toBeLessThanOrEqual(segments.length * (1 / 3 + 0.1));
    const { sequence } = cluster.log(leader);
    expect(cluster.log(4).sequence.read(0, sequence.endIndex)).toEqual(sequence.read(0, sequence.endIndex));
  });

  it('says how far it is', () => {
    const { cluster, leader } = filled([1, 2, 3], 120);
    cluster.start(4);
    cluster.reconfigure(leader, [1, 2, 3, 4], 60_000);
    const seen = new Set<string>();
    let bytes = 0;
    cluster.onArrival = ({ to }) => {
      const status = to === 4 ? cluster.replica(4).status().catchUp : undefined;
      if (!status) return;
      seen.add(status.stage);
      expect(status.bytesReceived, 'never less than before').toBeGreaterThanOrEqual(bytes);
      bytes = status.bytesReceived;
      expect(status.donors.reduce((sum, donor) => sum + donor.bytes, 0)).toBe(bytes);
      if (status.stage === 'state') expect(status.bytesTotal).toBeGreaterThanOrEqual(bytes);
    };
    cluster.until('it votes', () => cluster.replica(4).voter !== undefined);
    for (const stage of ['plan', 'state']) expect(seen).toContain(stage);
    expect(bytes).toBeGreaterThan(1000);
    cluster.converge(1, 2, 3, 4);
    expect(cluster.replica(4).status().catchUp).toBeUndefined();
  });

  it('a donor that serves clients gives no more in a tick than its budget', () => {
    const { cluster, leader, client } = filled([1, 2, 3], 400, { donorBytesPerTick: 300 });
    cluster.start(4);
    let writes = 0;
    const tickUnderLoad = () => {
      client.put(leader, 'load', `${writes++}`);
      cluster.tick();
    };
    for (let count = 0; count < 5; count++) tickUnderLoad();
    const given = new Map<NodeId, number>();
    cluster.onArrival = ({ to, from, message: { payload } }) => {
      // The session of the test's client is a row much larger than a message should be.
      if (to !== 4 || payload.type !== 'StateChunk' || payload.chunk?.last?.type !== 'pair') return;
      given.set(from, (given.get(from) ?? 0) + payload.chunk.rows.bytes.length);
    };
    cluster.reconfigure(leader, [1, 2, 3, 4], 60_000);
    let busyTicks = 0;
    while (cluster.replica(4).voter === undefined) {
      expect(busyTicks).toBeLessThan(500);
      given.clear();
      tickUnderLoad();
      if (given.size > 0) busyTicks++;
      for (const [id, bytes] of given) expect(bytes, `node ${id}`).toBeLessThanOrEqual(300 + 200);
    }
    expect(busyTicks, 'it took its time').toBeGreaterThan(5);
    cluster.converge(1, 2, 3, 4);
    expectSameState(cluster, leader, 4);
  });
});

function filled(members: readonly NodeId[], count: number, settings: Partial<ReplicaSettings> = {}) {
  const cluster = new Cluster(members, { ...manyPieces, ...settings });
  const leader = cluster.elect();
  const client = new Client(cluster, leader);
  for (let at = 0; at < count; at++) client.put(leader, `k${at}`, `value ${at}`, 60_000);
  cluster.converge(...members);
  cluster.tick(20);
  return { cluster, leader, client };
}

function others(cluster: Cluster, leader: NodeId): [NodeId, ...NodeId[]] {
  return cluster.running.filter((id) => id !== leader) as [NodeId, ...NodeId[]];
}

function writeUntilTrimmed(cluster: Cluster, client: Client, leader: NodeId, straggler: NodeId): void {
  const { endIndex } = cluster.log(straggler).sequence;
  for (let at = 0; cluster.log(leader).sequence.trimmedIndex <= endIndex; at++) {
    expect(at).toBeLessThan(500);
    client.putAcknowledged(leader, `k${at % 7}`, `later ${at}`);
  }
}

function isNear(cluster: Cluster, id: NodeId, leader: NodeId): boolean {
  return cluster.replica(leader).appliedIndex - cluster.replica(id).appliedIndex < 20;
}

function chunksTo(cluster: Cluster, to: NodeId): { readonly from: NodeId; readonly chunk: StateChunk }[] {
  return cluster.sent.flatMap((sent) => {
    const { payload } = sent.message;
    return sent.to === to && payload.type === 'StateChunk' ? [{ from: sent.from, chunk: payload }] : [];
  });
}

function bytesOf(chunks: readonly { readonly chunk: StateChunk }[]): number {
  return chunks.reduce((sum, { chunk }) => sum + (chunk.chunk?.rows.bytes.length ?? 0), 0);
}

function expectSameState(cluster: Cluster, a: NodeId, b: NodeId): void {
  expect(cluster.replica(b).stateHash()).toBe(cluster.replica(a).stateHash());
}

/** Keeps count in `open` of the snapshots that a node has open. */
function countSnapshots(cluster: Cluster, id: NodeId, open: Map<NodeId, number>): void {
  const state = cluster.state(id);
  const openSnapshotAt = state.openSnapshotAt.bind(state);
  const add = (count: number) => open.set(id, (open.get(id) ?? 0) + count);
  state.openSnapshotAt = (...parameters) => {
    const snapshot = openSnapshotAt(...parameters);
    const close = snapshot.close.bind(snapshot);
    add(1);
    snapshot.close = () => {
      add(-1);
      close();
    };
    return snapshot;
  };
}

/*
 * A follower that lacks more than a sync may carry has a goal, and asks to go on with the leader once it is there. Meanwhile more is decided, on a
 * long way as much as a sync may carry: the goal must neither move on with it, nor may nothing be pulled while it asks.
 */
it.each([
  { latencyTicks: 2, putsPerTick: 8, catchUpBytesMax: 1000, syncEntriesMax: 200, lacks: 3000, within: 400 },
  { latencyTicks: 2, putsPerTick: 30, catchUpBytesMax: 2000, syncEntriesMax: 1000, lacks: 5000, within: 400 },
  { latencyTicks: 9, putsPerTick: 10, catchUpBytesMax: 3000, syncEntriesMax: 2000, lacks: 5000, within: 1000 },
])('a straggler comes back while more is decided: %o', (way) => {
  const { latencyTicks, putsPerTick, catchUpBytesMax, syncEntriesMax, lacks, within } = way;
  const quick = { electionTimeoutTicks: 20, resendTicks: 20, donorTimeoutTicks: 50, voteLagEntries: 20 };
  const kept = { checkpointTicks: 1_000_000, logTailEntries: 1_000_000 };
  const cluster = new Cluster([1, 2, 3], { ...quick, ...kept, catchUpBytesMax, syncEntriesMax });
  cluster.latencyTicks = latencyTicks;
  cluster.until('somebody leads', () => cluster.leaders.length === 1);
  cluster.tick(100);
  const leader = cluster.leaders[0] as NodeId;
  const straggler = [1, 2, 3].find((id) => id !== leader) as NodeId;
  let number = 0;
  const put = (count: number) => {
    for (let at = 0; at < count; at++) {
      number++;
      const [key, value] = [new TextEncoder().encode(`k${number % 1000}`), new Uint8Array(100)];
      const command = { kind: 'put', session: 1, number, acknowledgedBelow: number, key, value } as const;
      cluster.replica(leader).voter?.paxos.proposeNormal(encodeCommand(command));
    }
  };
  cluster.isolate(straggler);
  cluster.tick(5);
  for (let put500 = 0; put500 < lacks; put500 += 500) {
    put(500);
    cluster.tick(2);
  }
  cluster.tick(20);
  cluster.heal();
  const phase = () => cluster.replica(straggler).voter?.paxos.phase;
  let ticks = 0;
  for (; ticks < within && (ticks < 20 || phase() !== 'accept'); ticks++) {
    put(putsPerTick);
    cluster.tick();
  }
  expect(phase(), `after ${ticks} ticks`).toBe('accept');
});
