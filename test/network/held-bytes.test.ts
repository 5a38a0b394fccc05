import { expect, it } from 'vitest';
import { HeldBytes } from '../../src/network/held-bytes.ts';

class Client {
  heldBytes = 0;
  problem: string | undefined;

  cut(problem: string): void {
    this.problem = problem;
    this.heldBytes = 0;
  }
}

function clients(held: readonly number[]): Client[] {
  return held.map((heldBytes) => Object.assign(new Client(), { heldBytes }));
}

it('over the limit those for whom the most is held are cut, and no more of them than it takes', () => {
  const all = clients([300, 500, 10, 400]);
  const held = new HeldBytes(new Set(all), 800);
  held.add(49);
  expect(all.map(({ problem }) => problem)).toEqual([undefined, undefined, undefined, undefined]);
  held.add(1);
  expect(all.map(({ heldBytes }) => heldBytes)).toEqual([300, 0, 10, 400]);
  expect(all[1]?.problem).toBe('1210 bytes are held for all clients, at most 800 are allowed: 500 for this one');
});

it('from half of it on those for whom more than their share is held are to get no more, until less is held', () => {
  const all = clients([200, 150, 20, 20]);
  const held = new HeldBytes(new Set(all), 800);
  held.add(50);
  expect(held.isTight(1_000, 0)).toBe(false);
  (all[0] as Client).heldBytes = 300;
  held.add(50);
  expect([300, 101, 100, 20].map((bytes) => held.isTight(bytes, 0))).toEqual([true, true, false, false]);
  (all[0] as Client).heldBytes = 0;
  // Nothing comes on top now: after a moment it is looked at all the same.
  expect(held.isTight(300, 49)).toBe(true);
  expect(held.isTight(300, 50)).toBe(false);
});
