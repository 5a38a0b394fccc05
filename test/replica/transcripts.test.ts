import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { expectRecorded, mistakeRows, transcriptsByMistake, transcriptsIn } from '../omnipaxos/transcript-file.ts';
import { runReplicaTranscript } from './transcript.ts';

const folder = new URL('transcripts/', import.meta.url);
const coreFolder = new URL('../omnipaxos/transcripts/', import.meta.url);
const files = transcriptsIn(folder);
/** Those of PROTOCOL's mistakes that a replica can make. */
const mistakes = [6, 11, 16, 20, 21, 22, 23, 24, 25, 26, 27];
const stepTraceMax = 12;

describe('transcripts of replicas: UPDATE_TRANSCRIPTS=1 records them anew', () => {
  it.each(files)('%s', (file) => {
    const path = new URL(file, folder);
    expectRecorded(path, runReplicaTranscript);
    const traces = readFileSync(path, 'utf8').split(/^(?! ).*\n/m);
    const lengths = traces.map((trace) => trace.split('\n').length - 1);
    expect(Math.max(...lengths), 'the trace of a step can be taken in').toBeLessThanOrEqual(stepTraceMax);
  });

  it.each(mistakes)('README says which files show mistake %i', (mistake) => {
    const named = mistakeRows(folder).find((row) => row.mistake === mistake)?.files ?? [];
    expect(named).not.toEqual([]);
    expect(named.sort()).toEqual((transcriptsByMistake(folder).get(mistake) ?? []).sort());
  });

  it('with those of the core, each of the 27 mistakes has one', () => {
    const shown = [folder, coreFolder].flatMap((of) => [...transcriptsByMistake(of).keys()]);
    expect(new Set(shown).size).toBe(27);
  });

  it.each([
    ['must 1 lead', 'line 3, `must 1 lead`: Error: of node 1 this is not so'],
    ['must 3 not lead', 'of node 3 this is not so'],
    ['must 1 2 3 have k w', 'of node 1 2 3 this is not so'],
    ['must answer put 3 k v: revision 9', 'it is answered: revision 2'],
    ['must not answer put 3 k v', 'it is answered: revision 2'],
    ['must 3 not send Decide', 'of node 3 this is not so'],
    ['must 3 stand up', 'no such demand'],
    ['leed', 'no such step'],
    ['when LogSegment 1 3: crash 1\nmust 3 lead', 'no LogSegment came'],
  ])('%s fails', (step, message) => {
    expect(() => runReplicaTranscript(`begin\nput 3 k v\n${step}`)).toThrow(message);
  });
});
