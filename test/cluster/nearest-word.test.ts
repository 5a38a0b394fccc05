import { expect, test } from 'vitest';
import { editDistance, nearestWord } from '../../src/cluster/nearest-word.ts';

test.each([
  ['', '', 0],
  ['kitten', 'sitting', 3],
  ['abc', '', 3],
  ['nodes', 'node', 1],
])('from %j to %j it takes %i changes', (a, b, distance) => {
  expect(editDistance(a, b)).toBe(distance);
  expect(editDistance(b, a)).toBe(distance);
});

test('nearestWord finds what was meant, and nothing where nothing is near', () => {
  expect(nearestWord('Clusters', ['cluster', 'nodes'])).toBe('cluster');
  expect(nearestWord('zzzzzz', ['cluster', 'nodes'])).toBeUndefined();
});
