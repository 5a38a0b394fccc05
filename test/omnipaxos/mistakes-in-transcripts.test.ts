import { describe, expect, it } from 'vitest';
import { mistakeRows, transcriptsByMistake } from './transcript-file.ts';

const folder = new URL('transcripts/', import.meta.url);

/** Mistakes (PROTOCOL) that the core itself can make. The others are those of the replica around it, of its state and of its disk. */
const coreMistakes = [1, 2, 3, 4, 5, 7, 8, 9, 10, 12, 13, 14, 15, 17, 18, 19, 22];
const allMistakes = Array.from({ length: 27 }, (_, at) => at + 1);

describe('mistakes already made by others, as transcripts', () => {
  const found = transcriptsByMistake(folder);
  const rows = mistakeRows(folder);

  it('each that the core can make has one, and there is none beyond the list', () => {
    expect(coreMistakes.filter((mistake) => !found.has(mistake))).toEqual([]);
    expect([...found.keys()].filter((mistake) => !allMistakes.includes(mistake))).toEqual([]);
  });

  it('README.md has a row for each, in order', () => {
    expect(rows.map(({ mistake }) => mistake)).toEqual(allMistakes);
  });

  it.each(rows)('README.md names the scenarios of mistake $mistake', ({ mistake, scenarios, files }) => {
    expect(files.sort()).toEqual((found.get(mistake) ?? []).sort());
    if (files.length === 0) expect(scenarios).toContain('replica: ../../replica/transcripts/');
  });
});
