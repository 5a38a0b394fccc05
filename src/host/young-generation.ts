import { setFlagsFromString } from 'node:v8';

/** From any size to the largest that V8 takes by itself, 16 MiB. */
const factor = 16;

/**
 * Once V8's young generation grows, it grows to its full size, instead of doubling: that happens in proportion to what survived in it, and
 * of what a node makes next to nothing does. Each of its collections holds the node up for half a millisecond however small it is, and a
 * cluster has several: with one put in flight they are half of the slowest in a hundred. The price is up to 20 MiB that it takes anyway once
 * much is going on. For a process that does nothing but run a node: it is a setting of the whole process.
 */
export function youngGenerationGrowsAtOnce(): void {
  setFlagsFromString(`--semi-space-growth-factor=${factor}`);
}
