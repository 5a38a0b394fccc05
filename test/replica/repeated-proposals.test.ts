import { expect, it } from 'vitest';
import { encodeCommand } from '../../src/kv/command.ts';
import type { ReplicaSettings } from '../../src/replica/settings.ts';
import { Client, Cluster, type Sent, threeLeadsWhileItInstalls } from './cluster.ts';

/** Sessions that the table holds: the least recently used one goes for another. */
const sessions = 10_000;

it('a write that was proposed again after its session had gone may have been applied, and its client is told so', () => {
  const cluster = new Cluster([1, 2, 3], { logTailEntries: 3 });
  cluster.elect();
  cluster.replica(1).voter?.takeOver();
  cluster.settle();
  cluster.until('1 leads', () => cluster.leaders.length === 1 && cluster.leaders[0] === 1);
  const client = new Client(cluster, 3);
  cluster.tick(30);
  // Node 3 forwards the write; then its links break before anything comes back.
  cluster.loses = ({ from, to }) => to === 3 && from !== 3;
  const write = client.put(3, 'x', 'first', 600_000);
  cluster.settle();
  cluster.isolate(3);
  cluster.loses = () => false;
  cluster.tick(5);
  expect(cluster.localValue(1, 'x')).toBe('first');
  for (let number = 0; number < sessions; number++) {
    const command = encodeCommand({ kind: 'openSession', session: 0, number: 1000 + number, acknowledgedBelow: 0 });
    cluster.ask(1, { type: 'write', command }, 60_000);
  }
  cluster.tick(10);
  new Client(cluster, 1, 77).putAcknowledged(1, 'x', 'second');
  // 3 gets state, and so never applies its first proposal itself.
  cluster.tick(60);
  cluster.heal();
  cluster.until('the write is answered', () => write.answer !== undefined);
  expect(write.answer).toMatchObject({ type: 'failed', code: 'sessionExpired', outcome: 'unknown' });
  expect(cluster.localValue(1, 'x')).toBe('second');
});

/** Node 1 leads, and nothing is decided. */
function undecidedCluster(settings: Partial<ReplicaSettings> = {}): Cluster {
  const cluster = new Cluster([1, 2, 3], settings);
  cluster.elect();
  cluster.replica(1).voter?.takeOver();
  cluster.settle();
  cluster.until('1 leads', () => cluster.leaders.length === 1 && cluster.leaders[0] === 1);
  return cluster;
}

const isAccepted = ({ message }: Sent) => message.payload.type === 'Accepted';

/** What node 3 has forwarded, to whomever. */
function forwarded(cluster: Cluster): number {
  const payloads = [1, 2].flatMap((to) => cluster.sentTo(to, 'ForwardProposals'));
  return payloads.reduce((sum, { entries }) => sum + entries.length, 0);
}

it('a write that is in the log already is not proposed again, neither in time nor to another leader', () => {
  const cluster = undecidedCluster();
  const client = new Client(cluster, 3);
  cluster.tick(30);
  const before = forwarded(cluster);
  cluster.loses = isAccepted;
  const write = client.put(3, 'x', 'value', 600_000);
  cluster.tick(100);
  expect(forwarded(cluster) - before).toBe(1);
  cluster.replica(2).voter?.takeOver();
  cluster.tick(100);
  expect(cluster.leaders).toEqual([2]);
  expect(write.answer).toBeUndefined();
  cluster.loses = () => false;
  cluster.until('the write is answered', () => write.answer !== undefined);
  expect(write.answer).toMatchObject({ type: 'outcome', outcome: { type: 'put' } });
  expect(forwarded(cluster) - before).toBe(1);
});

it('a write that was lost on its way to the leader is proposed again', () => {
  const cluster = undecidedCluster();
  const client = new Client(cluster, 3);
  cluster.tick(30);
  cluster.loses = ({ message }) => message.payload.type === 'ForwardProposals';
  const write = client.put(3, 'x', 'value', 600_000);
  cluster.tick(10);
  cluster.loses = () => false;
  cluster.until('the write is answered', () => write.answer !== undefined);
  expect(write.answer).toMatchObject({ type: 'outcome', outcome: { type: 'put' } });
});

it('a follower sends the leader no more than finds room there, and the rest once that is applied', () => {
  const cluster = undecidedCluster({ undecidedBytesMax: 2000 });
  const client = new Client(cluster, 3);
  cluster.tick(30);
  const before = forwarded(cluster);
  cluster.loses = isAccepted;
  const writes = Array.from({ length: 30 }, (_, at) => client.put(3, `${at}`, 'v'.repeat(250), 600_000));
  cluster.tick(100);
  expect(forwarded(cluster) - before).toBe(3);
  cluster.loses = () => false;
  cluster.until('all are answered', () => writes.every(({ answer }) => answer !== undefined));
  for (const { answer } of writes) expect(answer).toMatchObject({ type: 'outcome', outcome: { type: 'put' } });
  expect(forwarded(cluster) - before).toBe(30);
});

it('what a leader had no room for when it lost the lead is proposed once', () => {
  const cluster = undecidedCluster({ undecidedBytesMax: 600 });
  const client = new Client(cluster, 1);
  cluster.tick(30);
  cluster.loses = isAccepted;
  const writes = Array.from({ length: 5 }, (_, at) => client.put(1, `${at}`, 'v'.repeat(250), 600_000));
  cluster.tick(10);
  cluster.replica(2).voter?.takeOver();
  cluster.tick(5);
  cluster.loses = () => false;
  cluster.until('all are answered', () => writes.every(({ answer }) => answer !== undefined));
  const log = cluster.log(2).sequence;
  const puts = log
    .read(log.trimmedIndex, log.endIndex)
    .filter((entry) => entry.type === 'Normal' && entry.entry.length > 250);
  expect(puts).toHaveLength(5);
});

it('writes behind one that may be lost do not wait for a node that does not get its log in order', () => {
  const cluster = undecidedCluster();
  const client = new Client(cluster, 3);
  cluster.tick(30);
  cluster.loses = isAccepted;
  const first = client.put(3, 'x', 'first', 600_000);
  cluster.tick(5);
  // From here on node 3 follows another leader, and what that had when it began does not come.
  cluster.loses = ({ to, message }) =>
    to === 3 && ['AcceptSync', 'AcceptDecide', 'Decide'].includes(message.payload.type);
  cluster.replica(2).voter?.takeOver();
  cluster.tick(5);
  const second = client.put(3, 'y', 'second', 600_000);
  cluster.until('the second is applied elsewhere', () => cluster.localValue(1, 'y') === 'second');
  cluster.loses = () => false;
  cluster.until('both are answered', () => first.answer !== undefined && second.answer !== undefined);
  for (const { answer } of [first, second]) expect(answer).toMatchObject({ outcome: { type: 'put' } });
});

it('a write of a leader that lies below a state which it installed meanwhile is answered by its session', () => {
  const cluster = undecidedCluster({ logTailEntries: 3, donorBytesPerTick: 500 });
  const client = new Client(cluster, 1);
  const own = new Client(cluster, 3, 33);
  client.putAcknowledged(1, 'a', 'a');
  cluster.tick(30);
  cluster.converge(1, 2, 3);
  // Node 1 and 2 decide it, without that 2 hears of it, and more, which 3 gets as a state.
  const isDecideToTwo = ({ from, to, message }: Sent) => from === 1 && to === 2 && message.payload.type === 'Decide';
  cluster.loses = (sent) => isDecideToTwo(sent) || isAccepted(sent);
  const write = own.put(3, 'w', 'w', 100_000);
  cluster.settle();
  cluster.isolate(3);
  const puts = Array.from({ length: 12 }, (_, at) => client.put(1, `k${at}`, 'v', 60_000));
  cluster.settle();
  cluster.loses = isDecideToTwo;
  cluster.until('decided by 1', () => puts.every(({ answer }) => answer !== undefined));
  cluster.cut([1], [2, 3]);
  cluster.loses = () => false;
  cluster.tick(40);
  threeLeadsWhileItInstalls(cluster);
  cluster.tick(3);
  cluster.holdsJob.delete(3);
  cluster.tick(2);
  cluster.loses = () => false;
  cluster.tick(100);
  expect(cluster.leaders).toContain(3);
  expect(write.answer).toMatchObject({ type: 'outcome', outcome: { type: 'put' } });
});
