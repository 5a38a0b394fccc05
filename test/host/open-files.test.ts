import { execFileSync } from 'node:child_process';
import { expect, it } from 'vitest';
import { isOutOfFiles, openFilesMax } from '../../src/host/open-files.ts';
import { limitsFor, openFilesMin } from '../../src/network/gateway.ts';

it.runIf(process.platform === 'linux')('how many files may be open is what the shell says, too', () => {
  expect(openFilesMax()).toBe(Number(execFileSync('sh', ['-c', 'ulimit -n'], { encoding: 'utf8' })));
});

it('clients get most of the connections that are left, and never more than usual', () => {
  expect(limitsFor(1_048_576)).toEqual({ connectionsMax: 10_000, socketsMax: 11_000 });
  expect(limitsFor(1024)).toEqual({ connectionsMax: 814, socketsMax: 896 });
  expect(limitsFor(openFilesMin)).toEqual({ connectionsMax: 80, socketsMax: 128 });
});

it('tells want of files from other errors', () => {
  expect(isOutOfFiles(Object.assign(new Error('EMFILE: too many open files'), { code: 'EMFILE' }))).toBe(true);
  expect(isOutOfFiles(Object.assign(new Error('no such file'), { code: 'ENOENT' }))).toBe(false);
});
