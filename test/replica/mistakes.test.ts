import { describe, expect, it } from 'vitest';
import { fromByteString, toByteString } from '../../src/base/bytes.ts';
import type { NodeId } from '../../src/omnipaxos/ballot.ts';
import { Client, Cluster, textOf } from './cluster.ts';

/** Checkpoints come often and hardly any log stays below them: who is a little behind needs state. */
const littleLog = { checkpointTicks: 5, logTailEntries: 1 };

/** "Mistakes already made by others" (PROTOCOL), those that concern the replica: each as a scenario that quotes its rule. */
describe('mistakes already made by others', () => {
  it('6. a snapshot ahead of a lagging log: "a node may drop log only if its own durable state covers it"', () => {
    const cluster = new Cluster([1, 2, 3], littleLog);
    const leader = cluster.elect();
    const [straggler] = others(cluster, leader);
    const client = new Client(cluster, leader);
    cluster.isolate(straggler);
    writeUntilTrimmed(cluster, client, leader, straggler);
    // Its state arrives and is durable, but the log that is to begin there is not: then it crashes.
    cluster.stallDisk(straggler);
    cluster.heal();
    cluster.until('the state is installed', () => cluster.state(straggler).durableIndex > 1);
    cluster.tick();
    const { log, state } = cluster.disk(straggler);
    expect(state.appliedIndex, 'the state on its disk is ahead of the log').toBeGreaterThan(log.sequence.endIndex);
    cluster.crash(straggler);
    cluster.start(straggler);
    expect(cluster.log(straggler).sequence.endIndex, 'it drops what lies below').toBe(state.appliedIndex);
    client.putAcknowledged(leader, 'after', 'x');
    cluster.converge(1, 2, 3);
    expect(cluster.replica(straggler).stateHash()).toBe(cluster.replica(leader).stateHash());
    expect(cluster.localValue(straggler, 'k0')).toBe(cluster.localValue(leader, 'k0'));
    expectLogCoveredByState(cluster);
  });

  it.each(['follower', 'leader'])(
    '11. "a failed flush stops the node": a write that failed at the %s counts nowhere',
    (who) => {
      const cluster = new Cluster([1, 2, 3]);
      const leader = cluster.elect();
      const [follower, absent] = others(cluster, leader);
      const client = new Client(cluster, leader);
      cluster.converge(1, 2, 3);
      cluster.crash(absent);
      const failing = who === 'leader' ? leader : follower;
      const alive = who === 'leader' ? follower : leader;
      const durableEnd = cluster.disk(failing).log.sequence.endIndex;
      const votes = cluster.sentBy(failing, 'Accepted').length;
      cluster.stallDisk(failing);
      const write = client.put(leader, 'k', 'v');
      cluster.tick(2);
      expect(write.answer, 'in memory everywhere, on one disk only').toBeUndefined();
      cluster.failDisk(failing);
      cluster.settle();
      expect(cluster.isRunning(failing), 'there is no second try').toBe(false);
      expect(write.answer, 'no majority has it on disk').toBeUndefined();
      expect(cluster.sentBy(failing, 'Accepted').length, 'what was not written is not told').toBe(votes);
      expect(cluster.replica(alive).status().decidedIndex).toBe(durableEnd);
      cluster.start(failing);
      expect(cluster.log(failing).sequence.endIndex, 'only what is on the disk is known').toBe(durableEnd);
      client.putAcknowledged(cluster.elect(), 'k', 'again');
      cluster.converge(leader, follower);
      expect(cluster.localValue(failing, 'k')).toBe('again');
    },
  );

  it('16. a snapshot is of one index, however many decisions are made while it is read', () => {
    const cluster = new Cluster([1, 2, 3], { ...littleLog, catchUpBytesMax: 64 });
    const leader = cluster.elect();
    const [straggler] = others(cluster, leader);
    const client = new Client(cluster, leader);
    cluster.isolate(straggler);
    const history = writeUntilTrimmed(cluster, client, leader, straggler);
    let writes = 0;
    cluster.onArrival = ({ message, to }) => {
      if (message.payload.type !== 'StateChunk' || to !== straggler) return;
      client.put(leader, `k${writes % 7}`, `during-${writes}`);
      writes++;
    };
    cluster.heal();
    cluster.until('the state is installed', () => cluster.state(straggler).durableIndex > 1);
    const chunks = cluster.sentTo(straggler, 'StateChunk');
    const index = cluster.state(straggler).durableIndex;
    expect(chunks.length, 'it came in many pieces, with decisions in between').toBeGreaterThan(5);
    expect(cluster.replica(leader).appliedIndex).toBeGreaterThan(index + 5);
    const rows = chunks.filter(({ snapshotIndex }) => snapshotIndex === index).flatMap((chunk) => chunk.rows ?? []);
    const pairs = rows.flatMap((row) => (row.type === 'pair' ? [[row.key, toByteString(row.value)]] : []));
    const expected = new Map(history.filter(({ revision }) => revision <= index).map(({ key, value }) => [key, value]));
    expect(Object.fromEntries(pairs)).toEqual(Object.fromEntries(expected));
    cluster.converge(1, 2, 3);
    expect(cluster.replica(straggler).stateHash()).toBe(cluster.replica(leader).stateHash());
  });

  it('20. "installing state replaces everything below its index": a deleted key does not come back', () => {
    const cluster = new Cluster([1, 2, 3], littleLog);
    const leader = cluster.elect();
    const [straggler] = others(cluster, leader);
    const client = new Client(cluster, leader);
    client.putAcknowledged(leader, 'ghost', 'old');
    cluster.converge(1, 2, 3);
    expect(cluster.localValue(straggler, 'ghost')).toBe('old');
    // The straggler has it on disk, too.
    cluster.until('all is checkpointed', () => cluster.state(straggler).durableIndex >= 2);
    cluster.isolate(straggler);
    client.putAcknowledged(leader, 'ghost', 'new');
    client.deleteAcknowledged(leader, 'ghost');
    writeUntilTrimmed(cluster, client, leader, straggler);
    cluster.heal();
    cluster.converge(1, 2, 3);
    expect(cluster.sentTo(straggler, 'StateChunk').length, 'it came by state, not by log').toBeGreaterThan(0);
    expect(cluster.localValue(straggler, 'ghost')).toBeUndefined();
    cluster.start(4);
    cluster.reconfigureTo(leader, [1, 2, 3, 4]);
    cluster.converge(1, 2, 3, 4);
    expect(cluster.sentTo(4, 'StateChunk').length).toBeGreaterThan(0);
    expect(cluster.localValue(4, 'ghost')).toBeUndefined();
    expect(cluster.localValue(4, 'k0')).toBe(cluster.localValue(leader, 'k0'));
  });

  it.each([1, 7, 23, 101])(
    '21. "catches up from all of them": a newcomer gets the last of %i entries, too',
    (count) => {
      const cluster = new Cluster([1, 2, 3], { catchUpBytesMax: 100 });
      const leader = cluster.elect();
      const client = new Client(cluster, leader);
      for (let at = 0; at < count; at++) client.putAcknowledged(leader, `k${at}`, `v${at}`);
      cluster.start(4);
      const segments = () => cluster.sentTo(4, 'LogSegment').filter(({ entries }) => entries.length > 0);
      // One donor goes away in the middle.
      const [donor] = others(cluster, leader);
      cluster.onArrival = ({ from, to, message }) => {
        const isHalf = segments().flatMap(({ entries }) => entries).length > count / 2;
        if (to === 4 && message.payload.type === 'LogSegment' && from === donor && isHalf) cluster.cut([4], [donor]);
      };
      cluster.reconfigureTo(leader, [1, 2, 3, 4]);
      cluster.converge(1, 2, 3, 4);
      if (count > 20) expect(segments().length, 'in many pieces').toBeGreaterThan(5);
      for (let at = 0; at < count; at++) expect(cluster.localValue(4, `k${at}`)).toBe(`v${at}`);
      const { sequence } = cluster.log(leader);
      expect(cluster.log(4).sequence.read(0, sequence.endIndex)).toEqual(sequence.read(0, sequence.endIndex));
    },
  );

  it('23. an isolated old leader told to remove members changes nothing', () => {
    const cluster = new Cluster([1, 2, 3, 4, 5]);
    const old = cluster.elect();
    const [companion, ...majority] = others(cluster, old);
    cluster.cut([old, companion], majority);
    const order = cluster.reconfigure(old, [old, companion]);
    cluster.settle();
    expect(
      cluster
        .log(old)
        .sequence.read(0, 1)
        .map(({ type }) => type),
      'it does try: the StopSign is in its log',
    ).toEqual(['StopSign']);
    cluster.until('it gives up', () => order.answer !== undefined);
    expect(order.answer).toMatchObject({ type: 'failed', outcome: 'unknown' });
    for (const id of [old, companion]) expect(membersOf(cluster, id)).toEqual([1, 2, 3, 4, 5]);
    const successor = cluster.leaders.find((id) => majority.includes(id)) as NodeId;
    new Client(cluster, successor).putAcknowledged(successor, 'k', 'v');
    cluster.heal();
    cluster.converge(1, 2, 3, 4, 5);
    for (const id of cluster.running) {
      expect(cluster.replica(id).status().configurationId, `configuration of node ${id}`).toBe(1);
      expect(membersOf(cluster, id)).toEqual([1, 2, 3, 4, 5]);
      expect(cluster.localValue(id, 'k')).toBe('v');
    }
  });

  it('23. …and if the others reconfigured meanwhile, their configuration stands', () => {
    const cluster = new Cluster([1, 2, 3, 4, 5]);
    const old = cluster.elect();
    const [companion, ...majority] = others(cluster, old);
    cluster.cut([old, companion], majority);
    const order = cluster.reconfigure(old, [old, companion]);
    cluster.until('it gives up', () => order.answer !== undefined);
    const successor = cluster.leaders.find((id) => majority.includes(id)) as NodeId;
    cluster.reconfigureTo(successor, majority);
    cluster.heal();
    cluster.until('the two stand by', () =>
      [old, companion].every((id) => cluster.replica(id).status().state === 'standby'),
    );
    for (const id of cluster.running) expect(membersOf(cluster, id)).toEqual(majority);
    expect(cluster.leaders.every((id) => majority.includes(id))).toBe(true);
  });

  it.each(['old', 'emptied'])(
    '24. "a member left out steps back": a removed id that comes back with its %s directory has no vote',
    (directory) => {
      const cluster = new Cluster([1, 2, 3]);
      const leader = cluster.elect();
      const [kept, removed] = others(cluster, leader);
      const client = new Client(cluster, leader);
      cluster.crash(removed);
      cluster.start(4);
      cluster.reconfigureTo(leader, [leader, kept, 4]);
      if (directory === 'emptied') cluster.wipe(removed);
      // Node 3 and the leader would have been a majority of the first members. It hears of nobody else.
      cluster.cut([removed, leader], [kept, 4]);
      cluster.start(removed);
      const from = cluster.sent.length;
      const write = client.put(leader, 'k', 'v');
      cluster.timeouts(10);
      expect(write.answer).not.toMatchObject({ type: 'outcome' });
      expect(cluster.replica(removed).voter).toBeUndefined();
      expect(cluster.replica(removed).status().state).toBe('standby');
      const votes = cluster.sent
        .slice(from)
        .filter((sent) => sent.from === removed && isVote(sent.message.payload.type));
      expect(votes, 'it promises and accepts nothing').toEqual([]);
    },
  );

  it('24. "an emptied directory does not come back as an old member", not even of the present configuration', () => {
    const cluster = new Cluster([1, 2, 3]);
    const leader = cluster.elect();
    const [wiped, absent] = others(cluster, leader);
    const client = new Client(cluster, leader);
    cluster.crash(wiped);
    cluster.crash(absent);
    cluster.wipe(wiped);
    const from = cluster.sent.length;
    cluster.start(wiped);
    const write = client.put(leader, 'k', 'v');
    cluster.timeouts(10);
    expect(write.answer).not.toMatchObject({ type: 'outcome' });
    expect(cluster.replica(wiped).voter).toBeUndefined();
    expect(cluster.sent.slice(from).filter((sent) => sent.from === wiped && isVote(sent.message.payload.type))).toEqual(
      [],
    );
  });

  it('25. "at most once applied per session": a retry on another node after an unknown outcome is the same command', () => {
    const cluster = new Cluster([1, 2, 3]);
    const leader = cluster.elect();
    const [first, second] = others(cluster, leader);
    const client = new Client(cluster, leader);
    const other = new Client(cluster, leader, 2);
    const command = client.command('put', 'k', 'mine');
    // The node that took the request forwards it, and is cut off before it learns what came of it.
    let wasForwarded = false;
    cluster.onArrival = ({ from, message }) => {
      if (from === first && message.payload.type === 'ForwardProposals') wasForwarded = true;
      else if (wasForwarded) cluster.isolate(first);
    };
    const lost = cluster.ask(first, { type: 'write', command }, 200);
    cluster.timeouts(10);
    expect(lost.answer, 'it cannot know').toMatchObject({ type: 'failed', outcome: 'unknown' });
    other.putAcknowledged(leader, 'k', 'theirs');
    const again = cluster.askNow(second, { type: 'write', command });
    expect(again).toMatchObject({ type: 'outcome', outcome: { type: 'put' } });
    expect(cluster.localValue(second, 'k'), 'what was put in between is not undone').toBe('theirs');
  });

  it('25. …even if it is in the log twice, since two nodes proposed it', () => {
    const cluster = new Cluster([1, 2, 3]);
    const leader = cluster.elect();
    const [first, second] = others(cluster, leader);
    const command = new Client(cluster, leader).command('put', 'k', 'mine');
    const asks = [first, second].map((id) => cluster.ask(id, { type: 'write', command }));
    cluster.settle();
    const { sequence } = cluster.log(leader);
    const copies = sequence.read(0, sequence.endIndex).flatMap((entry, at) => {
      return entry.type === 'Normal' && Buffer.compare(entry.entry, command) === 0 ? [at] : [];
    });
    expect(copies, 'both went into the log').toHaveLength(2);
    const outcome = { type: 'put', revision: (copies[0] ?? 0) + 1 };
    for (const { answer } of asks) expect(answer, 'the first one counts').toEqual({ type: 'outcome', outcome });
    cluster.converge(1, 2, 3);
    const key = fromByteString('k');
    for (const id of [1, 2, 3]) {
      const found = cluster.askNow(id, { type: 'get', consistency: 'local', key });
      expect(found, 'the second one did nothing').toMatchObject({ record: { revision: outcome.revision } });
    }
  });

  it('26. one slow fsync does not cost the leader its place: "heartbeats and timers never wait for a disk"', () => {
    const cluster = new Cluster([1, 2, 3]);
    const leader = cluster.elect();
    const client = new Client(cluster, leader);
    const ballot = cluster.replica(leader).voter?.leader;
    cluster.stallDisk(leader);
    const write = client.put(leader, 'k', 'v', 60_000);
    cluster.timeouts(30);
    for (const id of [1, 2, 3]) expect(cluster.replica(id).voter?.leader, `whom node ${id} follows`).toEqual(ballot);
    expect(write.answer, 'two others have it on disk: that is a majority').toMatchObject({ type: 'outcome' });
    cluster.freeDisk(leader);
    cluster.timeouts(5);
    expect(cluster.leaders).toEqual([leader]);
    for (const id of [1, 2, 3]) expect(cluster.replica(id).voter?.leader).toEqual(ballot);
    cluster.converge(1, 2, 3);
  });

  it('27. a stalled disk on the old leader does not make two: it serves no read and acknowledges nothing', () => {
    const cluster = new Cluster([1, 2, 3]);
    const old = cluster.elect();
    const [next] = others(cluster, old);
    const client = new Client(cluster, old);
    client.putAcknowledged(old, 'k', 'before');
    cluster.stallDisk(old);
    const hanging = client.put(old, 'other', 'x');
    cluster.isolate(old);
    cluster.until('another leads', () => cluster.leaders.some((id) => id !== old));
    const successor = new Client(cluster, next, 2);
    successor.putAcknowledged(next, 'k', 'after');
    const read = cluster.get(old, 'k', 200);
    const write = client.put(old, 'k', 'lost', 200);
    cluster.timeouts(5);
    cluster.tick(20);
    expect(cluster.replica(old).status().leader, 'its timers go on: it knows that it has no majority').toBeUndefined();
    expect(read.answer).toMatchObject({ type: 'failed', code: 'noMajority' });
    expect(write.answer).toMatchObject({ type: 'failed' });
    expect(hanging.answer ?? { type: 'failed' }).toMatchObject({ type: 'failed' });
    cluster.heal();
    cluster.timeouts(5);
    expect(cluster.leaders, 'with its disk still stalled it steps back').not.toContain(old);
    expect(cluster.leaders).toHaveLength(1);
    const late = cluster.get(old, 'k');
    cluster.until('the read is answered', () => late.answer !== undefined);
    if (late.answer?.type === 'record') expect(textOf(late.answer)).toBe('after');
    cluster.freeDisk(old);
    cluster.converge(1, 2, 3);
    expect(cluster.localValue(old, 'k')).toBe('after');
  });

  it('27. …and should its timer stall with the disk: "no clock is trusted", a quorum confirms every read', () => {
    const cluster = new Cluster([1, 2, 3]);
    const old = cluster.elect();
    const [next] = others(cluster, old);
    const client = new Client(cluster, old);
    client.putAcknowledged(old, 'k', 'before');
    cluster.stallDisk(old);
    cluster.stopTimer(old);
    cluster.isolate(old);
    cluster.until('another leads', () => cluster.leaders.some((id) => id !== old));
    new Client(cluster, next, 2).putAcknowledged(next, 'k', 'after');
    expect(cluster.leaders, 'the old one cannot know better').toContain(old);
    const read = cluster.get(old, 'k', 5000);
    const write = client.put(old, 'k', 'lost', 5000);
    cluster.timeouts(5);
    expect(read.answer, 'no quorum confirmed it').toBeUndefined();
    expect(write.answer, 'no quorum has it').toBeUndefined();
    cluster.heal();
    cluster.freeDisk(old);
    cluster.startTimer(old);
    cluster.until('the read is answered', () => read.answer !== undefined);
    expect(['after', 'lost'], 'never the old value').toContain(textOf(read.answer));
    cluster.until('there is one leader', () => cluster.leaders.length === 1);
  });
});

interface Write {
  readonly key: string;
  readonly value: string;
  /** One more than its log index. */
  readonly revision: number;
}

/** Writes until the straggler's next entries are gone from the logs of all others. */
function writeUntilTrimmed(cluster: Cluster, client: Client, leader: NodeId, straggler: NodeId): Write[] {
  const history: Write[] = [];
  const donors = cluster.running.filter((id) => id !== straggler);
  const lacks = cluster.replica(straggler).status().decidedIndex;
  const isTrimmed = () => donors.every((id) => cluster.log(id).sequence.trimmedIndex > lacks);
  for (let count = 0; count < 40 || !isTrimmed(); count++) {
    if (count > 500) throw new Error('the log is not trimmed');
    const key = `k${count % 13}`;
    const value = `value-${count}`;
    history.push({ key, value, revision: client.putAcknowledged(leader, key, value) });
    cluster.tick();
  }
  return history;
}

function expectLogCoveredByState(cluster: Cluster): void {
  for (const id of cluster.running) {
    const { trimmedIndex } = cluster.disk(id).log.sequence;
    expect(trimmedIndex, `log of node ${id}`).toBeLessThanOrEqual(cluster.disk(id).state.appliedIndex);
  }
}

function others(cluster: Cluster, leader: NodeId): [NodeId, NodeId, ...NodeId[]] {
  return cluster.running.filter((id) => id !== leader) as [NodeId, NodeId, ...NodeId[]];
}

function membersOf(cluster: Cluster, id: NodeId): NodeId[] {
  return cluster
    .replica(id)
    .status()
    .members.map((member) => member.id);
}

function isVote(type: string): boolean {
  return type === 'Promise' || type === 'Accepted';
}
