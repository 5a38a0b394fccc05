import { expect, it } from 'vitest';
import { encodeCommand } from '../../src/kv/command.ts';
import { Client, Cluster } from './cluster.ts';

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
