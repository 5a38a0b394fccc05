import { describe, expect, it } from 'vitest';
import { type HandoverOptions, handover, summaryOf, timeoutSteps } from './handovers.ts';

/** Delays up to a twentieth, a tenth and a fifth of an election timeout: most networks, a slow one, and a slower one. */
const usual = { delayStepsMax: 5, startStepsMax: 5 };
const slow = { delayStepsMax: 10, startStepsMax: 10 };
const slower = { delayStepsMax: 20, startStepsMax: 20 };

function run(seed: number, options: Omit<HandoverOptions, 'nodes'>) {
  return handover(seed, { nodes: 3 + 2 * ((seed - 1) % 3), ...options });
}

function handovers(options: Omit<HandoverOptions, 'nodes'>, count = 240) {
  return summaryOf(Array.from({ length: count }, (_, at) => run(at + 1, options)));
}

describe('the successor of a leader that does not go on, in handovers of chance,', () => {
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
      const { beyondFour, mean } = handovers({ ...network, successorGoesBy: 100 });
      expect(beyondFour).toBe(0);
      expect(mean).toBeLessThan(3);
    }
  });

  it('holds nobody back in a half-broken network', () => {
    for (const network of [usual, slow, slower]) {
      const options = { ...network, cutProbability: 0.4 };
      const begun = handovers(options);
      expect(begun.beyondFour).toBe(0);
      expect(begun.mean).toBeLessThan(handovers({ ...options, hasSuccessor: false }).mean);
    }
  });
});

describe('an election in a half-broken network', () => {
  it.each([
    ['of nodes that all begin', {}],
    ['whose leader has lost its quorum', { hasSuccessor: true, cutBySteps: 600 }],
  ])('%s is over within four timeouts', (_, options) => {
    for (const network of [usual, slow]) {
      for (const cutProbability of [0.2, 0.4, 0.6]) {
        const { beyondFour } = handovers({ ...network, cutProbability, hasSuccessor: false, ...options }, 120);
        expect(beyondFour).toBe(0);
      }
    }
  });

  it.each([
    ['two hubs asked the same two, who let each of them go first in turns', 4601, 0.4, {}],
    ['of three who needed the same three, one lower was heard again as the yield to the highest ran out', 321, 0.2, {}],
    ['who stood in vain withdrew at the end of its round', 864, 0.5, { hasSuccessor: true, cutBySteps: 600 }],
    ['a half of the yields each', 1659, 0.7, { hasSuccessor: true, cutBySteps: 600 }],
    ['a half of the yields each, for a round', 1950, 0.7, { ...slow, hasSuccessor: true, cutBySteps: 600 }],
    [
      'who had given way to one yielded to none that was higher still',
      1248,
      0.7,
      { hasSuccessor: true, cutBySteps: 600 },
    ],
  ])('once lasted for longer: %s', (_, seed, cutProbability, options) => {
    expect(run(seed, { ...usual, cutProbability, hasSuccessor: false, ...options }).gapSteps).toBeLessThan(
      4 * timeoutSteps,
    );
  });
});
