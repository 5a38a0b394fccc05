import { describe, expect, it } from 'vitest';
import { type HandoverOptions, handover, summaryOf } from './handovers.ts';
import { slow, slower, usual } from './timed-cluster.ts';

/** In handovers of chance. */
function handovers(options: Omit<HandoverOptions, 'nodes'>, count = 180) {
  const one = (at: number) => handover(at + 1, { nodes: 3 + 2 * (at % 3), ...options });
  return summaryOf(Array.from({ length: count }, (_, at) => one(at)));
}

describe('the successor of a leader that does not go on', () => {
  it('spares the election, and nobody takes the lead from it', () => {
    for (const network of [slow, slower]) {
      const begun = handovers(network);
      const elected = handovers({ ...network, hasSuccessor: false });
      expect(begun.changes).toBe(0);
      expect(begun.mean).toBeLessThan(0.5 * elected.mean);
      expect(begun.max).toBeLessThan(elected.max);
    }
  });

  it('that never comes costs no more than the election', () => {
    const options = { ...slower, successorGoesBy: 0 };
    expect(handovers(options)).toEqual(handovers({ ...options, hasSuccessor: false }));
  });

  it('that goes soon is replaced within four election timeouts', () => {
    for (const network of [slow, slower]) {
      const { max, mean } = handovers({ ...network, successorGoesBy: 100 });
      expect(max).toBeLessThan(4);
      expect(mean).toBeLessThan(3);
    }
  });

  it('holds nobody back in a half-broken network', () => {
    for (const network of [usual, slow, slower]) {
      const options = { ...network, cutProbability: 0.4 };
      const begun = handovers(options);
      expect(begun.max).toBeLessThan(3);
      expect(begun.mean).toBeLessThan(handovers({ ...options, hasSuccessor: false }).mean);
    }
  });
});
