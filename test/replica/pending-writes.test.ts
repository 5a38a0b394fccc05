import { describe, expect, it } from 'vitest';
import { encodeCommand } from '../../src/kv/command.ts';
import { PendingWrites } from '../../src/replica/clients/pending-writes.ts';
import { Client, Cluster } from './cluster.ts';

/** With a way to add a write of one byte, which is its number. */
function pendingWrites() {
  const writes = new PendingWrites(10, 1000);
  const add = (number: number, deadlineMs = 1e9) =>
    writes.add({
      ...{ session: 1, number, command: Uint8Array.of(number), connection: 1, requestId: number, deadlineMs },
      ...{ place: 'here', proposals: 0, retryTick: 0, proposalNumber: 0, proposedTick: 0, order: 0 },
    });
  return { writes, add };
}

it('lets go of writes whose time is over where no leader is in reach, and keeps the order of the others', () => {
  const { writes, add } = pendingWrites();
  add(1, 1e9);
  for (let number = 2; number <= 10_000; number++) {
    add(number, number);
    expect(writes.sweep(number, number, { mayRetry: true, quietTicks: 1 })).toHaveLength(1);
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

it('what came back waits before it is sent again, longer each time, and what came later waits behind it', () => {
  const { writes, add } = pendingWrites();
  add(1);
  add(2);
  const proposed: number[] = [];
  const propose = (tick: number) =>
    writes.proposeHeld({ tick, retryTicks: 10, bytesMax: 1000 }, (command) => proposed.push(command[0] as number) > 0);
  propose(1);
  writes.returned(1, 1, 1);
  add(3);
  propose(5);
  expect(proposed).toEqual([1, 2]);
  propose(6);
  expect(proposed).toEqual([1, 2, 1, 3]);
  writes.returned(1, 1, 10);
  propose(19);
  expect(proposed).toHaveLength(4);
  propose(20);
  expect(proposed).toEqual([1, 2, 1, 3, 1]);
});

describe('a write of which nothing is heard', () => {
  const rule = { mayRetry: true, quietTicks: 20 };
  const command = (number: number) =>
    encodeCommand({ kind: 'delete', session: 1, number, acknowledgedBelow: 0, key: Uint8Array.of(number) });

  /** Writes 1 to 4, proposed in tick 0; what was proposed again. */
  function proposed() {
    const { writes, add } = pendingWrites();
    for (let number = 1; number <= 4; number++) add(number);
    const numbers: number[] = [];
    const propose = (tick: number) => {
      writes.settleDoubts({ tick, retryTicks: 5, bytesMax: 1000 }, () => false);
      writes.proposeHeld({ tick, retryTicks: 5, bytesMax: 1000 }, ([number = 0]) => numbers.push(number) > 0);
    };
    propose(0);
    numbers.length = 0;
    return { writes, numbers, propose };
  }

  it('is not proposed again while others come through in their order: it is only slow', () => {
    const { writes, numbers, propose } = proposed();
    expect(writes.takeApplied(command(1), 15)?.number).toBe(1);
    expect(writes.takeApplied(command(2), 30)?.number).toBe(2);
    for (let tick = 15; tick < 50; tick++) {
      writes.sweep(0, tick, rule);
      propose(tick);
    }
    expect(numbers).toEqual([]);
  });

  it('is, once one that was proposed behind it was applied', () => {
    const { writes, numbers, propose } = proposed();
    writes.takeApplied(command(3), 8);
    writes.sweep(0, 9, rule);
    propose(9);
    expect(numbers, 'early').toEqual([]);
    writes.sweep(0, 10, rule);
    propose(10);
    expect(numbers).toEqual([1, 2]);
  });

  it('is, once none came through for long', () => {
    const { writes, numbers, propose } = proposed();
    writes.takeApplied(command(1), 15);
    writes.sweep(0, 35, rule);
    propose(35);
    expect(numbers).toEqual([2, 3, 4]);
    // Which of its proposals came through is not known: it tells nothing of the others.
    writes.takeApplied(command(4), 36);
    writes.sweep(0, 55, rule);
    propose(55);
    expect(numbers).toEqual([2, 3, 4]);
    writes.sweep(0, 56, rule);
    propose(56);
    expect(numbers).toEqual([2, 3, 4, 2, 3]);
  });
});

it('a write on a node that was idle is given as long, and more where it is large', () => {
  const { writes, add } = pendingWrites();
  add(1);
  const proposed: number[] = [];
  const propose = (tick: number) => {
    writes.settleDoubts({ tick, retryTicks: 5, bytesMax: 1000 }, () => false);
    writes.proposeHeld({ tick, retryTicks: 5, bytesMax: 1000 }, () => proposed.push(tick) > 0);
  };
  for (let tick = 1000; tick < 1100; tick++) {
    writes.sweep(0, tick, { mayRetry: true, quietTicks: 20 });
    propose(tick);
  }
  expect(proposed).toEqual([1000, 1020, 1040, 1080]);
});

it('a command keeps no frame that is much longer than it', () => {
  const cluster = new Cluster([1, 2, 3]);
  const leader = cluster.elect();
  const client = new Client(cluster, leader);
  const command = client.command('put', 'k', 'v');
  const inFrame = (frameBytes: number) => {
    const frame = new Uint8Array(frameBytes);
    frame.set(command, 100);
    return { frame, command: frame.subarray(100, 100 + command.length) };
  };
  const { frame, command: view } = inFrame(1_000_000);
  const ask = cluster.ask(leader, { type: 'write', command: view });
  cluster.settle();
  frame.fill(0);
  cluster.until('it is answered', () => ask.answer !== undefined);
  const { sequence } = cluster.log(leader);
  const [entry] = sequence.read(sequence.endIndex - 1, sequence.endIndex);
  expect(entry).toEqual({ type: 'Normal', entry: command });
});
