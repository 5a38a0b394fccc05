import { describe, expect, test } from 'vitest';
import { LineSplitter } from '../../src/cli/line-splitter.ts';
import { formatPairs, pairJson } from '../../src/cli/listing.ts';
import { escapeBytes, formatTable, jsonBytes } from '../../src/cli/output.ts';
import { describeStatus, statusJson } from '../../src/cli/status-report.ts';

const bytes = (text: string) => Buffer.from(text, 'latin1');

test('JSON has text where bytes are UTF-8, and base64 where they are not', () => {
  expect(jsonBytes('value', Buffer.from('é\u0000'))).toEqual({ value: 'é\u0000' });
  expect(jsonBytes('value', bytes('\xff'))).toEqual({ valueBase64: '/w==' });
  // A byte order mark is data like any other.
  expect(jsonBytes('key', bytes('\xef\xbb\xbfa'))).toEqual({ key: '\ufeffa' });
});

test.each([
  ['plain é', 'plain é'],
  ['a\tb\nc\r\\', 'a\\tb\\nc\\r\\\\'],
  ['\u001b[31m', '\\x1b[31m'],
  ['\u202e', '\\xe2\\x80\\xae'],
])('%j is shown as %s on a terminal', (text, shown) => {
  expect(escapeBytes(Buffer.from(text))).toBe(shown);
});

test('bytes that are no UTF-8 are shown one by one', () => {
  expect(escapeBytes(bytes('a\xff\n\xc3'))).toBe('a\\xff\\n\\xc3');
});

describe('a listing', () => {
  const pairs = [
    { key: bytes('a\n'), value: bytes('1'), revision: 1 },
    { key: bytes('b'), value: bytes('\xff'), revision: 2 },
  ];
  const chunks = async (listed: typeof pairs, format: { withValue: boolean; escape: boolean }) => {
    const written: Buffer[] = [];
    for await (const chunk of formatPairs(listed, format)) written.push(Buffer.from(chunk));
    return written;
  };

  test.each([
    [false, false, 'a\n\nb\n'],
    [true, false, 'a\n\t1\nb\t\xff\n'],
    [true, true, 'a\\n\t1\nb\t\\xff\n'],
  ])('has a key a line, and a tab and the value if wanted (%s, escaped %s)', async (withValue, isEscaped, expected) => {
    expect(Buffer.concat(await chunks(pairs, { withValue, escape: isEscaped })).toString('latin1')).toBe(expected);
  });

  test('comes in chunks', async () => {
    const many = Array.from({ length: 3 }, () => ({ key: bytes('k'), value: bytes('x'.repeat(40_000)), revision: 1 }));
    const format = { withValue: true, escape: false };
    expect((await chunks(many, format)).map((chunk) => chunk.length)).toEqual([80_006, 40_003]);
    expect(await chunks([], format)).toEqual([]);
  });

  test('is an array of objects in JSON', () => {
    expect(pairs.map(pairJson)).toEqual([
      { key: 'a\n', revision: 1, value: '1' },
      { key: 'b', revision: 2, valueBase64: '/w==' },
    ]);
  });
});

test('columns are as wide as their widest cell', () => {
  expect(
    formatTable(
      [
        ['ID', 'A'],
        ['10', 'long'],
        ['2', ''],
      ],
      [0],
    ),
  ).toEqual(['ID  A', '10  long', ' 2']);
});

describe('a status', () => {
  const report = {
    clusterId: 'c0ffee',
    configurationId: 2,
    leader: 1,
    members: [
      { id: 1, address: 'h:1', role: 'leader', decidedIndex: 12, appliedIndex: 11 },
      { id: 4, address: 'h:4', role: 'unreachable', decidedIndex: undefined, appliedIndex: undefined },
    ],
  } as const;

  test('for people is a table that marks the leader', () => {
    expect(describeStatus(report)).toEqual([
      'cluster c0ffee, configuration 2, leader 1',
      'ID  ADDRESS  ROLE         DECIDED  APPLIED',
      ' 1  h:1      leader *          12       11',
      ' 4  h:4      unreachable        -        -',
    ]);
    const [first] = describeStatus({ ...report, clusterId: undefined, leader: undefined, members: [] });
    expect(first).toBe('cluster (not formed yet), configuration 2, no leader');
  });

  test('for scripts has every field, null where it is not known', () => {
    expect(JSON.parse(JSON.stringify(statusJson({ ...report, leader: undefined })))).toEqual({
      clusterId: 'c0ffee',
      configurationId: 2,
      leader: null,
      members: [
        { id: 1, address: 'h:1', role: 'leader', decidedIndex: 12, appliedIndex: 11 },
        { id: 4, address: 'h:4', role: 'unreachable', decidedIndex: null, appliedIndex: null },
      ],
    });
  });
});

test('a splitter cuts lines wherever the pieces are cut, and holds back no more than 64 KiB', () => {
  const lines: string[] = [];
  const splitter = new LineSplitter((line) => lines.push(line));
  for (const piece of ['a', 'b\nc\n\nd', 'e']) splitter.push(piece);
  expect(lines).toEqual(['ab', 'c', '']);
  splitter.end();
  splitter.end();
  expect(lines).toEqual(['ab', 'c', '', 'de']);
  splitter.push('x'.repeat(65_537));
  expect(lines.at(-1)).toHaveLength(65_537);
});
