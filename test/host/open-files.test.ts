import { execFileSync } from 'node:child_process';
import { expect, it } from 'vitest';
import { isOutOfFiles, openFilesMax } from '../../src/host/open-files.ts';

it.runIf(process.platform === 'linux')('how many files may be open is what the shell says, too', () => {
  expect(openFilesMax()).toBe(Number(execFileSync('sh', ['-c', 'ulimit -n'], { encoding: 'utf8' })));
});

it('tells want of files from other errors', () => {
  expect(isOutOfFiles(Object.assign(new Error('EMFILE: too many open files'), { code: 'EMFILE' }))).toBe(true);
  expect(isOutOfFiles(Object.assign(new Error('no such file'), { code: 'ENOENT' }))).toBe(false);
});
