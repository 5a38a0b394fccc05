import { spawnSync } from 'node:child_process';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { openDataDirectory } from '../../src/storage/directory/data-directory.ts';
import { BundledChild } from './bundled-child.ts';
import { Scratch } from './scratch.ts';

/** strace makes a system call of the child fail; it needs the package of that name and the right to trace. */
const canTrace = spawnSync('strace', ['-e', 'inject=fdatasync,pwrite64:error=EIO', 'true']).status === 0;

describe.skipIf(!canTrace)('a disk that fails (needs strace)', () => {
  let scratch: Scratch;
  let writer: BundledChild;

  beforeAll(async () => {
    writer = await BundledChild.of('writer');
  });

  afterAll(() => {
    writer.remove();
  });

  beforeEach(() => {
    scratch = new Scratch();
  });

  afterEach(() => {
    scratch.remove();
  });

  it.each([
    // The log's files are written through: the write itself says what the device said.
    { mode: 'log', line: 'flushed ', call: 'pwrite64', what: /log\/0{19}1\.wal failed \(EIO/ },
    // The trial before a commit may be what meets the disk first.
    {
      mode: 'state',
      line: 'checkpoint ',
      call: 'fdatasync',
      what: /state\/(data\.mdb failed \(Input\/output|trial failed \(EIO)/,
    },
  ])(
    'ends the $mode store: the write rejects, every later call throws, what was durable stays',
    async ({ mode, line, call, what }) => {
      const path = scratch.fresh();
      await (await openDataDirectory({ path, nodeId: 1 })).close();
      const inject = ['strace', '-f', '-qq', '-o', '/dev/null', '-e', `inject=${call}:error=EIO:when=12+`];
      const child = writer.start([path, mode], inject);
      const { code, stderr } = await child.ended;
      const failed = child.lines.findIndex((each) => each.startsWith('failed'));
      expect(child.lines[failed]).toMatch(/^failed DiskFailedError: a write to /);
      expect(child.lines[failed]).toMatch(what);
      expect(child.lines.slice(failed + 1)).toEqual(Array(6).fill('refused'));
      // No rejection goes unhandled: that alone would have ended the process.
      expect({ code, unhandled: stderr.includes('UnhandledPromiseRejection') }).toEqual({ code: 0, unhandled: false });
      const durable = Number(child.lines[failed - 1]?.slice(line.length));
      expect(durable).toBeGreaterThan(0);
      const { logStore, stateStore, close } = await openDataDirectory({ path, nodeId: 1 });
      const recovered = mode === 'log' ? logStore.sequence.endIndex : stateStore.durableIndex;
      expect(recovered).toBeGreaterThanOrEqual(durable);
      await close();
    },
  );
});
