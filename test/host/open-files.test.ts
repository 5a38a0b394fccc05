import { execFileSync } from 'node:child_process';
import { expect, it } from 'vitest';
import { openFilesMax } from '../../src/host/open-files.ts';

it.runIf(process.platform === 'linux')('how many files may be open is what the shell says, too', () => {
  expect(openFilesMax()).toBe(Number(execFileSync('sh', ['-c', 'ulimit -n'], { encoding: 'utf8' })));
});
