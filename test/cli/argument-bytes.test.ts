import { expect, test } from 'vitest';
import { argumentBytes } from '../../src/cli/arguments/argument-bytes.ts';

const lossy = 'bad\u{fffd}';

function commandLine(...args: (string | number[])[]): () => Buffer {
  return () => Buffer.concat(args.flatMap((arg) => [Buffer.from(arg as string), Buffer.of(0)]));
}

const bad = (last: number) => [0x62, 0x61, 0x64, last];

test('what is UTF-8 is taken as it is, without a look at the system', () => {
  const none = () => {
    throw new Error('not to be asked');
  };
  expect(argumentBytes('grüße', 'KEY', none)).toBe('grüße');
});

test('other bytes are those that the caller gave', () => {
  expect(argumentBytes(lossy, 'KEY', commandLine('node', 'kv', 'get', bad(0xff)))).toEqual(Buffer.from(bad(0xff)));
  // As key and as value: the same bytes.
  expect(argumentBytes(lossy, 'KEY', commandLine(bad(0xfe), bad(0xfe)))).toEqual(Buffer.from(bad(0xfe)));
  // The replacement character itself.
  expect(argumentBytes(lossy, 'KEY', commandLine('kv', lossy))).toEqual(Buffer.from(lossy));
});

test('a flag may stand in one word with its own', () => {
  const joined = [...Buffer.from('--put='), ...bad(0xff)];
  expect(argumentBytes(lossy, '--put', commandLine('kv', 'transact', joined))).toEqual(Buffer.from(bad(0xff)));
  expect(argumentBytes(lossy, '--put', commandLine('--put', bad(0xff)))).toEqual(Buffer.from(bad(0xff)));
  expect(() => argumentBytes(lossy, '--put', commandLine(joined, '--put', bad(0xfe)))).toThrow('another argument');
});

test('what cannot be told is refused, and names the argument', () => {
  expect(() => argumentBytes(lossy, 'KEY', commandLine(bad(0xff), bad(0xfe)))).toThrow(
    'the KEY has bytes that are no UTF-8, and another argument looks like it: use the client library for it',
  );
  expect(() => argumentBytes(lossy, 'VALUE', commandLine())).toThrow('the VALUE has bytes that are no UTF-8, and this');
});
