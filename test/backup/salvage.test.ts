import { describe, expect, it } from 'vitest';
import { applySalvage } from '../../src/backup/recover.ts';
import { planSalvage } from '../../src/backup/survivors.ts';
import { toByteString } from '../../src/base/bytes.ts';
import type { NodeId } from '../../src/omnipaxos/ballot.ts';
import { type Ask, Client, Cluster } from '../replica/cluster.ts';
import { Random } from '../simulation/random.ts';
import { reading } from './simulated-reading.ts';

const schedules = 60;

/** Every choice of some of `nodes`. */
function subsets(nodes: readonly NodeId[]): NodeId[][] {
  const found: NodeId[][] = [[]];
  for (const id of nodes) for (const some of [...found]) found.push([...some, id]);
  return found;
}

/** Crashes, cuts, new members and writes in random order, then the end of all at once. Gives what was acknowledged, key → value. */
function liveAndDie(random: Random): { cluster: Cluster; nodes: NodeId[]; acknowledged: Map<string, string> } {
  const nodes: NodeId[] = [1, 2, 3, 4, 5];
  const cluster = new Cluster([1, 2, 3], {
    checkpointTicks: random.between(3, 40),
    logTailEntries: random.between(1, 20),
  });
  const client = new Client(cluster, cluster.elect());
  cluster.start(4);
  cluster.start(5);
  const asked: { key: string; value: string; ask: Ask }[] = [];
  const pick = (): NodeId => nodes[random.below(nodes.length)] as NodeId;
  for (let step = 0; step < 60; step++) {
    const id = pick();
    const kind = random.below(12);
    if (kind === 0 && cluster.isRunning(id)) cluster.crash(id);
    else if (kind <= 2 && !cluster.isRunning(id)) cluster.start(id);
    else if (kind === 3) cluster.cut([id], [pick()]);
    else if (kind === 4) cluster.heal();
    else if (kind === 5 && cluster.isRunning(id))
      cluster.reconfigure(id, [1 + random.below(2), 3, 4 + random.below(2)]);
    else if (kind >= 6 && cluster.isRunning(id)) {
      const [key, value] = [`k${asked.length}`, `v${step}`];
      asked.push({ key, value, ask: client.put(id, key, value, 5000) });
    }
    cluster.tick(random.below(8));
  }
  const acknowledged = new Map<string, string>();
  for (const { key, value, ask } of asked) if (ask.answer?.type === 'outcome') acknowledged.set(key, value);
  for (const id of nodes) if (cluster.isRunning(id)) cluster.crash(id);
  return { cluster, nodes, acknowledged };
}

describe('what is kept of the survivors of a cluster that lived through anything', () => {
  it(`is every acknowledged write, where a majority of every configuration is left (${schedules} schedules)`, () => {
    let kept = 0;
    let partial = 0;
    for (let seed = 1; seed <= schedules; seed++) {
      const { cluster, nodes, acknowledged } = liveAndDie(new Random(seed));
      const readings = nodes.map((id) => reading(cluster.disk(id))).filter(({ clusterId }) => clusterId !== undefined);
      const configurations = readings.flatMap(({ configuration }) => configuration ?? []);
      for (const some of subsets(readings.map(({ identity }) => identity.nodeId))) {
        const left = readings.filter(({ identity }) => some.includes(identity.nodeId));
        const salvage = planSalvage(left);
        if (salvage === undefined) continue;
        const { machine } = applySalvage({ ...salvage, base: reading(cluster.disk(salvage.base.identity.nodeId)) });
        expect(machine.appliedIndex, `seed ${seed}, ${some}`).toBe(salvage.endIndex);
        const isEnough = configurations.every(
          ({ members }) => members.filter(({ id }) => some.includes(id)).length > members.length / 2,
        );
        if (!isEnough) {
          partial++;
          continue;
        }
        kept += acknowledged.size;
        for (const [key, value] of acknowledged) {
          const record = machine.get(key);
          expect(record && toByteString(record.value), `seed ${seed}, nodes ${some}: ${key}`).toBe(value);
        }
      }
    }
    expect(kept, 'there was something to keep').toBeGreaterThan(5000);
    expect(partial).toBeGreaterThan(100);
  });
});
