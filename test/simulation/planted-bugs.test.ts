import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { plantedBugs } from './planted-bugs.mjs.mts';

test.each(plantedBugs)('the place for the planted bug "$name" is there, once', ({ edits }) => {
  for (const { file, find } of edits) expect(readFileSync(file, 'utf8').split(find)).toHaveLength(2);
});
