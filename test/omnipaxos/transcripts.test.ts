import { describe, expect, it } from 'vitest';
import { runTranscript } from './transcript.ts';
import { expectRecorded, transcriptsIn } from './transcript-file.ts';

const folder = new URL('transcripts/', import.meta.url);

describe('transcripts: UPDATE_TRANSCRIPTS=1 records them anew', () => {
  it.each(transcriptsIn(folder))('%s', (file) => {
    expectRecorded(new URL(file, folder), runTranscript);
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
