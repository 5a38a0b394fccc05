import { expect, it } from 'vitest';
import type { KvError } from '../../src/client/call/errors.ts';
import { KvClient } from '../../src/client/client.ts';
import { decodeCommand } from '../../src/kv/command.ts';
import type { Outcome } from '../../src/kv/outcome.ts';
import { FakeCluster, type Reaction, type Refusal } from './fake-cluster.ts';

const delay = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const below = (end: number) => Math.random() * end;

const timeoutMs = 1200;
/** Few, since any of them may break the connection: of a thousand in one frame one mostly does, and then hardly any gets through. */
const outstandingWritesMax = 50;

const refusals: readonly Refusal[] = [
  { code: 'busy', outcome: 'notApplied', message: 'the inbox is full' },
  { code: 'noMajority', outcome: 'notApplied', message: 'no majority' },
  { code: 'timeout', outcome: 'unknown', message: 'no answer in time' },
];

/** One of twenty requests meets a fault. */
function reaction(): Reaction {
  const drawn = below(100);
  if (drawn < 95) return { hold: delay(below(6)) };
  if (drawn < 96.5) return refusals[Math.floor(2 * (drawn - 95))] as Refusal;
  if (drawn < 96.8) return 'ignore';
  if (drawn < 97.1) return 'applyAndIgnore';
  if (drawn < 97.2) return 'cutBefore';
  if (drawn < 97.3) return 'cutAfter';
  return { hold: delay(below(500)) };
}

/** What the state machine did: the revisions that each value was put with. */
function applied(cluster: FakeCluster): ReadonlyMap<string, ReadonlySet<number>> {
  const revisions = new Map<string, Set<number>>();
  const { machine } = cluster;
  const apply = machine.apply.bind(machine);
  machine.apply = (index: number, bytes: Uint8Array): Outcome => {
    const outcome = apply(index, bytes);
    const command = decodeCommand(bytes);
    if (command.kind !== 'put' || outcome.type !== 'put') return outcome;
    const value = new TextDecoder().decode(command.value);
    revisions.set(value, (revisions.get(value) ?? new Set()).add(outcome.revision));
    return outcome;
  };
  return revisions;
}

interface Result {
  readonly value: string;
  readonly tookMs: number;
  /** Undefined: it failed. */
  readonly revision?: number;
  readonly outcome?: KvError['outcome'];
}

async function put(client: KvClient, key: string, value: string): Promise<Result> {
  const begun = performance.now();
  const tookMs = () => performance.now() - begun;
  return client.put(key, value).then(
    ({ revision }) => ({ value, tookMs: tookMs(), revision }),
    ({ outcome }: KvError) => ({ value, tookMs: tookMs(), outcome }),
  );
}

it('whatever nodes do, and whoever leads, each put is settled in time, and what is said of it is true', async () => {
  const cluster = await FakeCluster.start(3);
  const revisions = applied(cluster);
  const client = await KvClient.connect({ endpoints: cluster.addresses, timeoutMs, outstandingWritesMax });
  for (const node of cluster.nodes) node.script = reaction;
  const puts: Promise<Result>[] = [];
  const end = Date.now() + 5000;
  while (Date.now() < end) {
    const leader = Math.ceil(below(4));
    for (const node of cluster.nodes) {
      node.status = { leader: leader > 3 ? undefined : leader };
      node.saysHello = below(100) < 85;
      if (below(100) < 2) node.cut();
    }
    for (let count = below(30); count > 0; count--) puts.push(put(client, `k${puts.length % 50}`, `v${puts.length}`));
    await delay(below(40));
  }
  const results = await Promise.all(puts);
  const revisionsOf = ({ value }: Result) => [...(revisions.get(value) ?? [])];
  expect(results.filter((result) => revisionsOf(result).length > 1)).toEqual([]);
  expect(results.filter((result) => result.outcome === 'notApplied' && revisionsOf(result).length > 0)).toEqual([]);
  expect(results.filter((result) => 'revision' in result && result.revision !== revisionsOf(result)[0])).toEqual([]);
  expect(results.filter(({ tookMs }) => tookMs > timeoutMs + 1000)).toEqual([]);
  expect(results.filter((result) => 'revision' in result).length).toBeGreaterThan(results.length / 2);
  await client.close();
  await expect.poll(() => cluster.nodes.map(({ openConnections }) => openConnections)).toEqual([0, 0, 0]);
  await cluster.stop();
});
