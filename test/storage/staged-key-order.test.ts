import { expect, it } from 'vitest';
import { StagedKeyOrder } from '../../src/storage/state/staged-key-order.ts';
import { ChunkPool, StateBatch } from '../../src/storage/state/state-batch.ts';

/** Keys, each once, as a batch has them: sorted by it, and as texts. */
function expectSorted(keys: readonly string[]): void {
  const batch = new StateBatch(new ChunkPool());
  const places = keys.map((key) => batch.pair(0, key, null));
  const order = new StagedKeyOrder(batch, (number) => places[number] as number);
  const numbers = Uint32Array.from(keys, (_, number) => number);
  order.sort(numbers);
  expect([...numbers].map((number) => keys[number])).toEqual([...keys].sort());
}

/** Numbers below `count`, each once, without order. */
const scattered = (count: number) => Array.from({ length: count }, (_, at) => (at * 7919) % count);

it('sorts keys whose difference comes late, behind several beginnings, and those of few or no bytes more', () => {
  const beginnings = ['users/of/the/first/kind/', 'users/of/the/second/kind/', 'orders/', ''];
  expectSorted(scattered(10_000).map((number) => `${beginnings[number % 4]}${String(number).padStart(9, '0')}`));
  expectSorted(scattered(1_000).map((number) => number.toString(36)));
  for (const count of [0, 1, 2, 8, 9]) expectSorted(scattered(count).map((number) => `k${number}`));
});

it('takes a key for less than one that goes on, even with zeros', () => {
  expectSorted(scattered(1_000).map((number) => 'a'.repeat(number % 7) + '\0'.repeat(number)));
  expectSorted(scattered(40).flatMap((number) => ['\0', '\x01', '\xff'].map((end) => 'k'.repeat(number) + end)));
});

it('sorts keys that part one after the other, as long as keys may be', () => {
  expectSorted(scattered(1_978).map((number) => `${'x'.repeat(number)}y`));
  expectSorted(scattered(1_979).map((number) => 'x'.repeat(number) || 'w'));
});
