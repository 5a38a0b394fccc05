import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { expect } from 'vitest';

const linesMax = 62;

/** Names of the transcripts in `folder`. */
export function transcriptsIn(folder: URL): string[] {
  return readdirSync(folder).filter((file) => file.endsWith('.txt'));
}

/** Plays a transcript: its trace must be what the file has. With UPDATE_TRANSCRIPTS=1 the file becomes what was played. */
export function expectRecorded(path: URL, run: (text: string) => string): void {
  const text = readFileSync(path, 'utf8');
  const now = run(text);
  if (process.env['UPDATE_TRANSCRIPTS'] === '1') writeFileSync(path, now);
  else expect(now).toBe(text);
  expect(now.split('\n').length, 'short enough to be read').toBeLessThan(linesMax);
  expect(now, 'says which rule it is about').toMatch(/^# /);
  expect(now, 'demands something').toMatch(/^must /m);
}

/** The transcripts in `folder` of each mistake (PROTOCOL), by its number: those with a line `# mistake 8: …`. */
export function transcriptsByMistake(folder: URL): Map<number, string[]> {
  const found = new Map<number, string[]>();
  for (const file of transcriptsIn(folder)) {
    for (const [, number] of readFileSync(new URL(file, folder), 'utf8').matchAll(/^# mistake (\d+): /gm)) {
      found.set(Number(number), [...(found.get(Number(number)) ?? []), file]);
    }
  }
  return found;
}

/** The rows of the table of mistakes in the README of `folder`: number, scenarios as they are written, and their files. */
export function mistakeRows(
  folder: URL,
): { readonly mistake: number; readonly scenarios: string; readonly files: (string | undefined)[] }[] {
  const readme = readFileSync(new URL('README.md', folder), 'utf8');
  return [...readme.matchAll(/^\| (\d+) \| [^|]+ \| ([^|]+) \|$/gm)].map(([, number, scenarios = '']) => {
    const files = [...scenarios.matchAll(/`([a-z-]+\.txt)`/g)].map(([, file]) => file);
    return { mistake: Number(number), scenarios, files };
  });
}
