import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { runTranscript } from './transcript.ts';

const folder = new URL('transcripts/', import.meta.url);
const linesMax = 62;

describe('transcripts: UPDATE_TRANSCRIPTS=1 records them anew', () => {
  const files = readdirSync(folder).filter((file) => file.endsWith('.txt'));

  it.each(files)('%s', (file) => {
    const path = new URL(file, folder);
    const text = readFileSync(path, 'utf8');
    const now = runTranscript(text);
    if (process.env['UPDATE_TRANSCRIPTS'] === '1') writeFileSync(path, now);
    else expect(now).toBe(text);
    expect(now.split('\n').length, 'short enough to be read').toBeLessThan(linesMax);
    expect(now, 'says which rule it is about').toMatch(/^# /);
    expect(now, 'demands something').toMatch(/^must /m);
  });

  it('a demand that is not met fails with its line', () => {
    expect(() => runTranscript('lead 1\ndeliver\nmust 1 decide a')).toThrow(
      'line 3, `must 1 decide a`: Error: node 1: decide a was due',
    );
  });

  it('a step that is none fails', () => {
    expect(() => runTranscript('leed 1')).toThrow('no such step');
  });
});
