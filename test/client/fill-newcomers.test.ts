import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { KvError } from '../../src/client/call/errors.ts';
import { type FillingClient, fillNewcomers } from '../../src/client/members/fill-newcomers.ts';
import { RoomWatch } from '../../src/client/members/room-watch.ts';
import type { NewcomerFilling, NodeStatus } from '../../src/wire/client-message.ts';

const mebibyte = 1024 * 1024;
const linked = { id: 4, isLinked: true, isFilled: false };
const away = { id: 4, isLinked: false, isFilled: false };
const filled = { id: 4, address: 'h:4', isLinked: true, isFilled: true };
const nodes = [{ id: 1 }, { id: 4 }];

/** What newcomers say of themselves while they are filled. */
function told(bytesReceived: number, level: 'ok' | 'full'): NodeStatus {
  const catchUp = { stage: 'log', bytesReceived, fromIndex: 0, targetIndex: 9, donors: [] };
  return { nodeId: 4, catchUp, space: { level, usedBytes: 81 * mebibyte, capacityBytes: 60 * mebibyte } } as never;
}

/** A client of a cluster whose newcomers are as far as `step` says. */
function clientOf(step: (count: number) => readonly NewcomerFilling[], statusOf = () => told(0, 'ok')): FillingClient {
  let count = 0;
  return { fill: async () => step(++count), statusOf: async () => statusOf() };
}

test('newcomers that have all data, or of which there are none, are no problem', async () => {
  await fillNewcomers(
    clientOf(() => []),
    { nodes, fillTimeoutMs: 1000 },
  );
  let steps = 0;
  const client = clientOf((count) => {
    steps = count;
    return [{ ...linked, isFilled: count > 2 }];
  });
  await fillNewcomers(client, { nodes, fillTimeoutMs: 5000 });
  expect(steps).toBe(3);
});

test('one that was never reached is left to whoever proposes, after some time from the first answer on', async () => {
  const beganMs = performance.now();
  await fillNewcomers(
    clientOf(() => [away]),
    { nodes, fillTimeoutMs: 60_000 },
  );
  expect(performance.now() - beganMs).toBeGreaterThan(1500);
});

test('one that was reached once is waited for, and nothing is proposed when the time is over', async () => {
  const client = clientOf((count) => [count === 1 ? linked : away]);
  await expect(fillNewcomers(client, { nodes, fillTimeoutMs: 3000 })).rejects.toMatchObject({
    code: 'timeout',
    outcome: 'notApplied',
    message:
      'node 4 does not have all data after 3 s: nothing was changed; ' +
      'node 4 is not reached any more: start it again, and it goes on from there',
  });
});

test('one that is reached no more for a while is told of once, and again when that comes again', async () => {
  const silences: number[] = [];
  const linkedAt = (count: number) => count < 5 || (count > 60 && count < 65);
  const client = clientOf((count) => [{ ...linked, isLinked: linkedAt(count), isFilled: count > 125 }]);
  const onSilent = ({ id }: NewcomerFilling) => silences.push(id);
  await fillNewcomers(client, { nodes, fillTimeoutMs: 60_000, onSilent });
  expect(silences).toEqual([4, 4]);
});

test('one is not told of for the time in which nobody answered', async () => {
  const silences: number[] = [];
  const client = clientOf((count) => [{ ...linked, isLinked: count !== 3, isFilled: count > 5 }]);
  const { fill } = client;
  let steps = 0;
  client.fill = async (...words) => {
    // The members themselves stand still.
    if (++steps === 3) await delay(5500);
    return fill(...words);
  };
  await fillNewcomers(client, { nodes, fillTimeoutMs: 60_000, onSilent: ({ id }) => silences.push(id) });
  expect(silences).toEqual([]);
}, 15_000);

describe('room', () => {
  test('one that is full with what it took is not filled, however much it has', async () => {
    const client = clientOf(
      () => [filled],
      () => told(70 * mebibyte, 'full'),
    );
    await expect(fillNewcomers(client, { nodes, fillTimeoutMs: 500 })).rejects.toThrow('node 4 does not have all data');
  });

  test('one that had everything before may be as full as it was', async () => {
    const client = clientOf(
      () => [filled],
      () => told(100, 'full'),
    );
    await fillNewcomers(client, { nodes, fillTimeoutMs: 500 });
  });

  test('one that cannot be asked, or does not answer, is taken at the word of the member that fills it', async () => {
    const asked: string[] = [];
    const statusOf = async (endpoint: string) => {
      asked.push(endpoint);
      throw new KvError('unreachable', 'nobody there', 'notApplied');
    };
    await fillNewcomers({ fill: async () => [filled], statusOf }, { nodes, fillTimeoutMs: 500 });
    expect(asked).toEqual(['h:4']);
    const { address: _, ...nowhere } = filled;
    await fillNewcomers({ fill: async () => [nowhere], statusOf }, { nodes, fillTimeoutMs: 500 });
    expect(asked).toEqual(['h:4']);
  });

  test('one that stays full stops the filling', () => {
    const room = new RoomWatch();
    expect(room.isFull(told(0, 'full'), 0)).toBe(true);
    expect(room.isFull(told(0, 'full'), 9_900)).toBe(true);
    expect(room.isFull(told(0, 'ok'), 9_950)).toBe(false);
    expect(room.isFull(told(0, 'full'), 10_000)).toBe(true);
    expect(() => room.isFull(told(0, 'full'), 20_000)).toThrow(
      'node 4 has no room for all data: 81.0 MiB of 60.0 MiB are used: nothing was changed; give it more room',
    );
  });
});
