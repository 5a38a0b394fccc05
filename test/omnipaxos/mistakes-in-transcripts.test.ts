import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

const folder = new URL('transcripts/', import.meta.url);

/** Mistakes (PROTOCOL) that the core itself can make. The others are those of the replica around it, of its state and of its disk. */
const coreMistakes = [1, 2, 3, 4, 5, 7, 8, 9, 10, 12, 13, 14, 15, 17, 18, 19, 22];
const allMistakes = Array.from({ length: 27 }, (_, at) => at + 1);

/** The transcripts of each mistake, by its number: those with a line `# mistake 8: …`. */
function transcriptsByMistake(): Map<number, string[]> {
  const found = new Map<number, string[]>();
  for (const file of readdirSync(folder).filter((name) => name.endsWith('.txt'))) {
    for (const [, number] of readFileSync(new URL(file, folder), 'utf8').matchAll(/^# mistake (\d+): /gm)) {
      found.set(Number(number), [...(found.get(Number(number)) ?? []), file]);
    }
  }
  return found;
}

/** The rows of the README's table: number and scenarios. */
function rows(): { readonly mistake: number; readonly scenarios: string }[] {
  const readme = readFileSync(new URL('README.md', folder), 'utf8');
  return [...readme.matchAll(/^\| (\d+) \| [^|]+ \| ([^|]+) \|$/gm)].map(([, number, scenarios = '']) => {
    return { mistake: Number(number), scenarios };
  });
}

describe('mistakes already made by others, as transcripts', () => {
  const found = transcriptsByMistake();

  it('each that the core can make has one, and there is none beyond the list', () => {
    expect(coreMistakes.filter((mistake) => !found.has(mistake))).toEqual([]);
    expect([...found.keys()].filter((mistake) => !allMistakes.includes(mistake))).toEqual([]);
  });

  it('README.md has a row for each, in order', () => {
    expect(rows().map(({ mistake }) => mistake)).toEqual(allMistakes);
  });

  it.each(rows())('README.md names the scenarios of mistake $mistake', ({ mistake, scenarios }) => {
    const named = [...scenarios.matchAll(/`([a-z-]+\.txt)`/g)].map(([, file]) => file);
    expect(named.sort()).toEqual((found.get(mistake) ?? []).sort());
    if (named.length === 0) expect(scenarios).toContain('replica: ../../replica/transcripts/');
  });
});
