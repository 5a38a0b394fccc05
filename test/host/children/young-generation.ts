// Says which sizes a half of its young generation had, MiB, while much of what it made survived for some time.
import { getHeapSpaceStatistics } from 'node:v8';
import { YoungGeneration } from '../../../src/host/young-generation.ts';

function sizeNow(): number {
  const space = getHeapSpaceStatistics().find(({ space_name }) => space_name === 'new_space');
  return Math.round(((space?.space_used_size ?? 0) + (space?.space_available_size ?? 0)) / 2 ** 20);
}

const youngGeneration = process.argv.includes('at-once') ? new YoungGeneration() : undefined;
const sizes = new Set<number>();
let kept: { readonly number: number }[] = [];
for (let number = 0; number < 20_000_000; number++) {
  kept.push({ number });
  if (kept.length > 20_000) kept = kept.slice(10_000);
  if (number % 1_000 !== 0) continue;
  youngGeneration?.tick(number);
  sizes.add(sizeNow());
}
process.stdout.write(JSON.stringify([...sizes]));
