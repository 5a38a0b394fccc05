import { describe, expect, it } from 'vitest';
import { Client, Cluster } from './cluster.ts';

/** Makes each staged change a page of its own, as many rows of a page's size are. */
function onePageAChange(cluster: Cluster, id: number, rowPages: number): void {
  const state = cluster.state(id);
  Object.defineProperty(state, 'stagedPages', { get: () => state.staged.changes });
  Object.defineProperty(state, 'rowPages', { get: () => rowPages });
}

/** A node whose disk needs a page for each change, of `rowPages`, after 40 puts of as many keys: how many of them are durable. */
function durableChanges(rowPages: number, ticksBetweenPuts = 5): number {
  const cluster = new Cluster([1], { checkpointTicks: 1_000_000, checkpointPagesMax: 8, loneFounderTicks: 0 });
  const leader = cluster.elect();
  const state = cluster.state(leader);
  onePageAChange(cluster, leader, rowPages);
  const client = new Client(cluster, leader);
  for (let at = 0; at < 40; at++) {
    client.putAcknowledged(leader, `k${at}`, 'v');
    cluster.tick(ticksBetweenPuts);
  }
  return 40 - state.staged.changes;
}

describe('a checkpoint', () => {
  it('is made once it writes many pages, if a later one would write about a page for each change as well', () => {
    expect(durableChanges(1_000_000)).toBeGreaterThan(30);
  });

  it('is made for that no more often than twice a second, for where keys are not random it is many for nothing', () => {
    expect(durableChanges(1_000_000, 0)).toBeLessThan(30);
  });

  it('waits for more changes where these would be of the same pages', () => {
    expect(durableChanges(10)).toBe(0);
  });

  it('is made by one member after the other, each at a moment of the log that is its own', () => {
    const cluster = new Cluster([1, 2, 3], { checkpointTicks: 1_000_000, checkpointPagesMax: 48 });
    const leader = cluster.elect();
    for (const id of [1, 2, 3]) onePageAChange(cluster, id, 1_000_000);
    const client = new Client(cluster, leader);
    const made = [1, 2, 3].map((): number[] => []);
    for (let at = 0; at < 600; at++) {
      client.putAcknowledged(leader, `k${at}`, 'v');
      cluster.tick();
      for (const [rank, indexes] of made.entries()) {
        const { durableIndex } = cluster.state(rank + 1);
        if (durableIndex > (indexes.at(-1) ?? 0)) indexes.push(durableIndex);
      }
    }
    // A cycle has 64 entries; the first checkpoints come where a node happens to stand.
    const moments = made.map((indexes) => indexes.slice(3).map((index) => index % 64));
    for (const [rank, own] of moments.entries()) {
      expect(own.length, `checkpoints of node ${rank + 1}`).toBeGreaterThan(5);
      for (const moment of own) expect((moment - (64 * rank) / 3 + 64) % 64, `node ${rank + 1}`).toBeLessThan(8);
    }
  });

  it('of many pages is put off while nodes give their state, layer by layer, and then they make them one by one', () => {
    const few = { checkpointPagesMax: 8, logTailEntries: 1, catchUpBytesMax: 100 };
    const settings = { ...few, checkpointTicks: 1_000_000, donorTimeoutTicks: 100 };
    const cluster = new Cluster([1, 2, 3], settings);
    const leader = cluster.elect();
    for (const id of [1, 2, 3]) onePageAChange(cluster, id, 1_000_000);
    const client = new Client(cluster, leader);
    for (let at = 0; at < 100; at++) {
      client.putAcknowledged(leader, `k${at}`, 'v'.repeat(50));
      cluster.tick(5);
    }
    const durableIndexes = () => [1, 2, 3].map((id) => cluster.state(id).durableIndex);
    let durableBefore = durableIndexes();
    expect(Math.min(...durableBefore), 'its log is trimmed').toBeGreaterThan(50);
    let writes = 0;
    cluster.onArrival = ({ to, message }) => {
      if (to !== 4 || message.payload.type !== 'StateChunk' || writes >= 40) return;
      // By then all three give.
      if (writes === 5) durableBefore = durableIndexes();
      client.put(leader, `during-${writes++}`, 'x');
      cluster.tick(2);
    };
    cluster.start(4);
    cluster.reconfigureTo(leader, [1, 2, 3, 4]);
    cluster.converge(1, 2, 3, 4);
    cluster.tick(30);
    expect(writes).toBe(40);
    expect(durableIndexes()).toEqual(durableBefore);
    const layers = [1, 2, 3].map((id) => cluster.state(id).staged.sealedLayers);
    expect(Math.min(...layers), 'layers').toBeGreaterThan(1);
    const madeAt = new Map<number, number[]>([1, 2, 3].map((id) => [id, []]));
    let before = durableBefore;
    for (let tick = 0; tick < 400; tick++) {
      cluster.tick();
      const now = durableIndexes();
      for (const id of [1, 2, 3]) if (now[id - 1] !== before[id - 1]) madeAt.get(id)?.push(tick);
      before = now;
    }
    const first = [...madeAt.values()].map(([moment]) => moment ?? Number.NaN).sort((a, b) => a - b);
    expect((first[1] ?? 0) - (first[0] ?? 0), 'one node after the other').toBeGreaterThan(15);
    expect((first[2] ?? 0) - (first[1] ?? 0), 'one node after the other').toBeGreaterThan(15);
    for (const [at, moments] of [...madeAt.values()].entries()) {
      expect(moments.length, 'a checkpoint for each layer').toBeGreaterThanOrEqual(layers[at] ?? 0);
      expect((moments[1] ?? 0) - (moments[0] ?? 0), 'with a pause in between').toBeGreaterThan(10);
    }
  });
});
