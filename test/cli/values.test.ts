import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readValue } from '../../src/cli/arguments/values.ts';
import { valueBytesMax } from '../../src/kv/command-limits.ts';

async function* pieces(...chunks: Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* chunks;
}

describe('readValue', () => {
  test('an argument is its UTF-8 bytes', async () => {
    expect(await readValue({ argument: 'é', file: undefined, stdin: pieces() })).toEqual(new Uint8Array([0xc3, 0xa9]));
    expect(await readValue({ argument: '', file: undefined, stdin: pieces() })).toEqual(new Uint8Array(0));
  });

  test('- is the bytes of standard input, as they are', async () => {
    const bytes = [Buffer.from([0, 255, 10]), Buffer.from(' \n')];
    expect(await readValue({ argument: '-', file: undefined, stdin: pieces(...bytes) })).toEqual(Buffer.concat(bytes));
    expect(await readValue({ argument: undefined, file: '-', stdin: pieces(...bytes) })).toEqual(Buffer.concat(bytes));
  });

  test('an endless standard input is left as soon as it is too long', async () => {
    let readBytes = 0;
    async function* endless() {
      for (;;) {
        readBytes += 65_536;
        yield new Uint8Array(65_536);
      }
    }
    const reading = readValue({ argument: '-', file: undefined, stdin: endless() });
    await expect(reading).rejects.toMatchObject({
      code: 'tooLarge',
      message: expect.stringContaining('standard input'),
    });
    expect(readBytes).toBe(2 * valueBytesMax + 65_536);
  });

  test('--file is the bytes of a file, up to the limit', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'kv-value-'));
    const file = join(directory, 'value');
    const read = () => readValue({ argument: undefined, file, stdin: pieces() });
    try {
      writeFileSync(file, Buffer.alloc(valueBytesMax, 7));
      expect((await read()).length).toBe(valueBytesMax);
      writeFileSync(file, Buffer.alloc(valueBytesMax + 1));
      await expect(read()).rejects.toMatchObject({ code: 'tooLarge' });
    } finally {
      rmSync(directory, { recursive: true });
    }
    await expect(read()).rejects.toThrow(`--file ${file} cannot be read: ENOENT`);
  });

  test('no value, two values, and one that is too long', async () => {
    const stdin = pieces();
    await expect(readValue({ argument: undefined, file: undefined, stdin })).rejects.toThrow('the VALUE is missing');
    await expect(readValue({ argument: 'a', file: 'b', stdin })).rejects.toThrow('give one of them');
    const argument = 'x'.repeat(valueBytesMax + 1);
    await expect(readValue({ argument, file: undefined, stdin })).rejects.toMatchObject({ code: 'tooLarge' });
  });
});
