import { describe, expect, it } from 'vitest';
import { fromByteString, toByteString } from '../../src/base/bytes.ts';
import type { NodeId } from '../../src/omnipaxos/ballot.ts';
import type { BackupOpened, ResponseBody } from '../../src/wire/client-message.ts';
import { Client, Cluster } from './cluster.ts';

/** Small pages, no checkpoint unless somebody asks for one. */
const settings = { catchUpBytesMax: 200, checkpointTicks: 1_000_000, snapshotIdleTicks: 50 };

function open(cluster: Cluster, id: NodeId): BackupOpened {
  const ask = cluster.ask(id, { type: 'backupOpen' }, 10_000);
  cluster.until('the backup is open', () => ask.answer !== undefined);
  if (ask.answer?.type !== 'backupOpened') throw new Error(JSON.stringify(ask.answer));
  return ask.answer;
}

/** Reads to the end; `between` is called after each page. */
function read(cluster: Cluster, id: NodeId, backup: string, between: () => void = () => {}): Map<string, string> {
  const found = new Map<string, string>();
  let after: Uint8Array | undefined;
  for (;;) {
    const page = ask(cluster, id, backup, after);
    if (page?.type !== 'backupPairs') throw new Error(JSON.stringify(page));
    for (const { key, value } of page.pairs) found.set(toByteString(key), toByteString(value));
    if (page.done) return found;
    after = page.pairs.at(-1)?.key;
    between();
  }
}

function ask(cluster: Cluster, id: NodeId, backup: string, after?: Uint8Array): ResponseBody | undefined {
  return cluster.askNow(id, { type: 'backupRead', backup, after });
}

function filled(): {
  cluster: Cluster;
  leader: NodeId;
  follower: NodeId;
  client: Client;
  expected: Map<string, string>;
} {
  const cluster = new Cluster([1, 2, 3], settings);
  const leader = cluster.elect();
  const follower = ([1, 2, 3] as const).find((id) => id !== leader) as NodeId;
  const client = new Client(cluster, leader);
  const expected = new Map<string, string>();
  for (let at = 0; at < 40; at++) {
    const key = `k${String(at).padStart(2, '0')}`;
    client.putAcknowledged(leader, key, `v${at}`);
    expected.set(key, `v${at}`);
  }
  return { cluster, leader, follower, client, expected };
}

describe('a backup read from a node', () => {
  it('of a follower holds all that was acknowledged before, and nothing that came after', () => {
    const { cluster, leader, follower, client, expected } = filled();
    const revision = client.putAcknowledged(leader, 'last', 'x');
    expected.set('last', 'x');
    const { backup, index, nodeId } = open(cluster, follower);
    expect(nodeId).toBe(follower);
    expect(index).toBeGreaterThanOrEqual(revision);
    let writes = 0;
    const found = read(cluster, follower, backup, () => {
      client.putAcknowledged(leader, 'k00', `later ${writes}`);
      client.putAcknowledged(leader, `l${writes++}`, 'later');
      const removal = cluster.ask(leader, { type: 'write', command: client.command('delete', 'k39') }, 60_000);
      cluster.until('it is deleted', () => removal.answer !== undefined);
      // What is replaced meanwhile is made durable, too.
      open(cluster, follower);
      cluster.askNow(follower, { type: 'backupClose', backup: `${follower}-0-${writes + 1}` });
    });
    expect(writes).toBeGreaterThan(3);
    expect([...found]).toEqual([...expected].sort(([a], [b]) => (a < b ? -1 : 1)));
  });

  it('leaves sessions out', () => {
    const { cluster, follower } = filled();
    const { backup } = open(cluster, follower);
    const last = ask(cluster, follower, backup, fromByteString('k39'));
    expect(last).toEqual({ type: 'backupPairs', pairs: [], done: true });
  });

  it('is opened by no node that cannot reach a majority', () => {
    const { cluster, follower } = filled();
    cluster.isolate(follower);
    const refused = cluster.ask(follower, { type: 'backupOpen' }, 500);
    cluster.until('it is answered', () => refused.answer !== undefined);
    expect(refused.answer).toMatchObject({ type: 'failed', code: 'noMajority', outcome: 'notApplied' });
  });

  it('ends when it is not read, when it is closed, and with its node; its name is not given again', () => {
    const { cluster, follower } = filled();
    const first = open(cluster, follower);
    cluster.tick(settings.snapshotIdleTicks - 1);
    expect(ask(cluster, follower, first.backup)).toMatchObject({ type: 'backupPairs' });
    cluster.tick(settings.snapshotIdleTicks - 1);
    expect(ask(cluster, follower, first.backup), 'each page counts').toMatchObject({ type: 'backupPairs' });
    cluster.tick(settings.snapshotIdleTicks);
    expect(ask(cluster, follower, first.backup)).toMatchObject({ type: 'failed', code: 'invalid' });
    const second = open(cluster, follower);
    expect(cluster.askNow(follower, { type: 'backupClose', backup: second.backup })).toEqual({ type: 'backupClosed' });
    expect(ask(cluster, follower, second.backup)).toMatchObject({ type: 'failed', code: 'invalid' });
    const third = open(cluster, follower);
    cluster.crash(follower);
    cluster.start(follower);
    expect(ask(cluster, follower, third.backup)).toMatchObject({ type: 'failed', code: 'invalid' });
    const names = [first, second, third, open(cluster, follower)].map(({ backup }) => backup);
    expect(new Set(names).size).toBe(names.length);
  });

  it('is one of at most four', () => {
    const { cluster, leader } = filled();
    const opened = [1, 2, 3, 4].map(() => open(cluster, leader));
    const refused = cluster.ask(leader, { type: 'backupOpen' }, 500);
    cluster.until('it is answered', () => refused.answer !== undefined);
    expect(refused.answer).toMatchObject({ type: 'failed', code: 'busy', outcome: 'notApplied' });
    cluster.askNow(leader, { type: 'backupClose', backup: opened[1]?.backup as string });
    open(cluster, leader);
  });
});
