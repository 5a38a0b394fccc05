import { describe, expect, it } from 'vitest';
import { changes } from './changing-networks.ts';
import { handover, summaryOf } from './handovers.ts';
import { slow, slower, timeoutSteps, usual } from './timed-cluster.ts';

const nodesOf = (seed: number) => 3 + 2 * ((seed - 1) % 3);
const seeds = (count: number) => Array.from({ length: count }, (_, at) => at + 1);

/** PROTOCOL BLE: progress within four election timeouts, wherever one server can lead. That it takes three at the most has been so in all of many thousands. */
describe('an election in a half-broken network', () => {
  it.each([
    ['of nodes that all begin', { hasSuccessor: false }, 2.6],
    ['whose leader loses its quorum', { cutBySteps: 600 }, 3],
  ])('%s', (_, options, timeoutsMax) => {
    for (const network of [usual, slow]) {
      for (const cutProbability of [0.2, 0.4, 0.6]) {
        const one = (seed: number) => handover(seed, { nodes: nodesOf(seed), ...network, cutProbability, ...options });
        expect(summaryOf(seeds(100).map(one)).max).toBeLessThan(timeoutsMax);
      }
    }
  });

  it.each([
    ['that changes', usual, {}],
    ['that changes, and is slow', slow, {}],
    ['that changes, with quorums of two sizes', usual, { nodes: 5, quorum: { prepare: 4, accept: 2 } }],
  ])('%s: nobody waits for four timeouts, and nobody takes the lead later', (_, network, options) => {
    for (const seed of seeds(48)) {
      const downProbability = seed % 2 === 0 ? 0 : 0.2;
      const { gapSteps, lateLeaders } = changes(seed, {
        ...{ nodes: nodesOf(seed), ...network, cutProbability: 0.3 + 0.3 * (seed % 2), downProbability, changes: 6 },
        ...options,
      });
      expect(gapSteps, `seed ${seed}`).toBeLessThan(4 * timeoutSteps);
      expect(lateLeaders, `seed ${seed}`).toBe(0);
    }
  });

  it.each([
    ['all began; each let those who stood go first in turns', 1424, usual, 0.3, { hasSuccessor: false }],
    ['so, too', 795, usual, 0.6, { hasSuccessor: false }],
    ['one lower was heard again as the yield to the highest ran out', 663, usual, 0.6, { hasSuccessor: false }],
    ['the same, after a cut', 24, usual, 0.6, { cutBySteps: 600 }],
  ])('once lasted for long: %s', (_, seed, network, cutProbability, options) => {
    const { gapSteps } = handover(seed, { nodes: nodesOf(seed), ...network, cutProbability, ...options });
    expect(gapSteps).toBeLessThan(3 * timeoutSteps);
  });

  it.each([
    ['each let those who stood go first in turns', 195, usual, 0.3],
    ['so, too, over slow links', 309, slower, 0.3],
    ['unhappiness took a round from one to the next', 21, usual, 0.6],
    ['so, too', 81, slow, 0.6],
    ['some were content with a ballot that nobody leads with', 129, usual, 0.6],
  ])('once lasted for long as the network changed: %s', (_, seed, network, cutProbability) => {
    const downProbability = seed % 2 === 0 ? 0 : 0.2;
    const options = { nodes: nodesOf(seed), ...network, cutProbability, downProbability, changes: 6 };
    expect(changes(seed, options).gapSteps).toBeLessThan(4 * timeoutSteps);
  });
});
