import { expect, it } from 'vitest';
import { PendingWrites } from '../../src/replica/pending-writes.ts';

it('lets go of writes whose time is over where no leader is in reach, and keeps the order of the others', () => {
  const writes = new PendingWrites(10, 1000);
  const add = (number: number, deadlineMs: number) =>
    writes.add({
      ...{ session: 1, number, command: Uint8Array.of(number), connection: 1, requestId: number, deadlineMs },
      ...{ place: 'here', proposals: 0, retryTick: 0, order: 0 },
    });
  add(1, 1e9);
  for (let number = 2; number <= 10_000; number++) {
    add(number, number);
    expect(writes.sweep(number, number, true)).toHaveLength(1);
  }
  add(10_001, 1e9);
  let looked = 0;
  const find = writes.find.bind(writes);
  writes.find = (session, number) => {
    looked++;
    return find(session, number);
  };
  const proposed: number[] = [];
  writes.proposeHeld({ tick: 1, retryTicks: 1, bytesMax: 1000 }, (command) => proposed.push(command[0] as number) > 0);
  expect(proposed).toEqual([1, 10_001 % 256]);
  expect(looked).toBeLessThan(10);
});
