import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

interface PlantedBug {
  readonly name: string;
  readonly edits: readonly { readonly file: string; readonly find: string }[];
}

const modulePath: string = './planted-bugs.mjs';
const { plantedBugs } = (await import(modulePath)) as { readonly plantedBugs: readonly PlantedBug[] };

test.each(plantedBugs)('the place for the planted bug "$name" is there, once', ({ edits }) => {
  for (const { file, find } of edits) expect(readFileSync(file, 'utf8').split(find)).toHaveLength(2);
});
