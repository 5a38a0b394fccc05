import { describe, expect, test } from 'vitest';
import { LineSplitter } from '../../src/cli/local-cluster/line-splitter.ts';
import { escapeBytes, formatTable, jsonBytes } from '../../src/cli/output.ts';
import { formatPairs, formatPairsJson } from '../../src/cli/report/listing.ts';
import { describeStatus, statusJson } from '../../src/cli/report/status-report.ts';

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

  test.each([false, true])('is an array of objects in JSON (for people: %s)', async (isForPeople) => {
    const written = async (listed: typeof pairs) => {
      const parts: Uint8Array[] = [];
      for await (const part of formatPairsJson(listed, isForPeople)) parts.push(part);
      return Buffer.concat(parts).toString();
    };
    const objects = [
      { key: 'a\n', revision: 1, value: '1' },
      { key: 'b', revision: 2, valueBase64: '/w==' },
    ];
    const indent = isForPeople ? 2 : undefined;
    expect(await written(pairs)).toBe(`${JSON.stringify(objects, undefined, indent)}\n`);
    expect(await written(pairs.slice(1))).toBe(`${JSON.stringify(objects.slice(1), undefined, indent)}\n`);
    expect(await written([])).toBe('[]\n');
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
  const disk = { flushP50Ms: 0.25, flushP99Ms: 1.75, flushes: 12 };
  const space = { level: 'low', usedBytes: 54 * 2 ** 20, capacityBytes: 64 * 2 ** 20 } as const;
  const quiet = {
    answersAt: undefined,
    problem: undefined,
    hasOtherDirectory: false,
    trimmedIndex: 0,
    catchUp: undefined,
    logHeld: undefined,
    space,
  } as const;
  const leader = {
    ...({
      ...quiet,
      id: 1,
      address: 'h:1',
      role: 'leader',
      decidedIndex: 12,
      appliedIndex: 11,
      isMember: true,
    } as const),
    ...({ state: 'member', lag: 0, connected: [4, 5], disk } as const),
  };
  const silent = {
    ...({ ...quiet, id: 4, address: 'h:4', role: 'unreachable', isMember: true, decidedIndex: undefined } as const),
    ...{ appliedIndex: undefined, state: undefined, lag: undefined },
    ...{ trimmedIndex: undefined, connected: undefined },
    disk: undefined,
    space: undefined,
  };
  const report = {
    clusterId: 'c0ffee',
    configurationId: 2,
    leader: 1,
    fullNodes: [],
    members: [leader, silent],
    history: [{ configurationId: 2, startIndex: 9, members: [1, 4] }],
  };

  test('for people is a table that marks the leader', () => {
    expect(describeStatus(report)).toEqual([
      'cluster c0ffee, configuration 2, leader 1',
      'ID  ADDRESS  ROLE         DECIDED  APPLIED  FSYNC P99  SPACE',
      ' 1  h:1      leader *          12       11     1.8 ms  54.0 MiB of 64.0 MiB, low',
      ' 4  h:4      unreachable        -        -          -  -',
    ]);
    expect(describeStatus({ ...report, leader: undefined }).at(-1)).toBe(
      'no majority in reach: node 4 does not answer, and from here nothing can be read or written without it: ' +
        'start it, or see to the network, behind which a majority may be at work; ' +
        'only if it is lost, kv recover makes a new cluster of what is left',
    );
    const emptied = { ...leader, id: 4, hasOtherDirectory: true };
    const remark = (hasLeader: boolean) =>
      describeStatus({ ...report, leader: hasLeader ? 1 : undefined, members: [leader, emptied] }).at(-1);
    expect(remark(true)).toContain('if it is lost, `kv member rebuild 4` moves its vote');
    expect(remark(false)).not.toContain('rebuild');
    const lines = describeStatus({ ...report, leader: undefined, members: [leader, emptied] });
    expect(lines.find((line) => line.startsWith('no majority'))).toBe(
      'no majority: node 4 takes no part, and nothing can be read or written without it: ' +
        'start it; if it is lost, kv recover makes a new cluster of what is left',
    );
    const apart = (links: readonly (readonly number[])[]) => {
      const members = links.map((connected, at) => ({ ...leader, id: at + 1, role: 'follower' as const, connected }));
      return describeStatus({ ...report, leader: undefined, members, history: [] }).slice(5);
    };
    const cutOff =
      'no majority: no member has links with enough of the others, and nothing can be read or written: see to the network between them';
    // A standby does not count.
    expect(apart([[4], [], []])[0]).toBe(cutOff);
    expect(apart([[2], [1, 3], []])).toEqual(['nodes 1 and 3 have no link with each other']);
    const joining = (ids: readonly number[], count: number) => {
      const members = Array.from({ length: count }, (_, at) => ({ ...leader, id: at + 1 })).map((one) =>
        ids.includes(one.id) ? { ...one, state: 'joining' as const } : one,
      );
      return describeStatus({ ...report, leader: undefined, members, history: [] })[2 + count];
    };
    const before = 'nothing can be read or written before';
    expect(joining([2], 2)).toBe(`no majority: node 2 is catching up, and ${before} it has all data`);
    expect(joining([2, 3], 3)).toBe(`no majority: nodes 2, 3 are catching up, and ${before} 1 of them has all data`);
    const [first] = describeStatus({ ...report, clusterId: undefined, leader: undefined, members: [] });
    expect(first).toBe('cluster (not formed yet), configuration 2, no leader');
    const strangers = [{ id: 2, address: 'h:2', clusterId: 'feed' }];
    expect(describeStatus({ ...report, strangers }).at(-1)).toBe(
      'at h:2 is node 2 of another cluster, feed: is it to run, and is that its address?',
    );
    expect(describeStatus({ ...report, fullNodes: [4] }).at(-1)).toBe(
      'no puts: node 4 has no space; delete keys, make room, or replace it with kv member replace',
    );
  });

  test('for scripts has every field, null where it is not known', () => {
    expect(JSON.parse(JSON.stringify(statusJson({ ...report, leader: undefined })))).toEqual({
      clusterId: 'c0ffee',
      configurationId: 2,
      leader: null,
      fullNodes: [],
      members: [
        {
          ...{
            id: 1,
            address: 'h:1',
            role: 'leader',
            decidedIndex: 12,
            appliedIndex: 11,
            member: true,
            state: 'member',
          },
          ...{
            lag: 0,
            otherDirectory: false,
            trimmedIndex: 0,
            connected: [4, 5],
            catchUp: null,
            logHeld: null,
            disk,
            space,
          },
        },
        {
          ...{ id: 4, address: 'h:4', role: 'unreachable', decidedIndex: null, appliedIndex: null, member: true },
          ...{
            state: null,
            lag: null,
            otherDirectory: false,
            trimmedIndex: null,
            connected: null,
            catchUp: null,
          },
          ...{ logHeld: null, disk: null, space: null },
        },
      ],
      history: [{ configurationId: 2, startIndex: 9, members: [1, 4] }],
    });
  });

  test('says who is behind, who is not linked, who holds the log, and who the members were', () => {
    const received = {
      ...{ bytesReceived: 3 * 1024 * 1024, fromIndex: 0, targetIndex: 9000 },
      donors: [1, 4].map((id) => ({ id, bytes: 1 })),
    };
    const catchUp = { ...received, stage: 'state', bytesTotal: 12 * 1024 * 1024 } as const;
    const joining = { ...leader, id: 5, role: 'follower', state: 'joining', decidedIndex: 4000, catchUp } as const;
    const lackOfRoom = { neededBytes: 12 * 1024 * 1024, roomBytes: 5 * 1024 * 1024 };
    const small = { ...joining, id: 7, catchUp: { ...received, stage: 'plan', lackOfRoom } } as const;
    const behind = { ...leader, id: 6, role: 'follower', lag: 4321 } as const;
    const moved = { ...leader, answersAt: 'h:11' };
    const lines = describeStatus({
      ...report,
      members: [
        { ...leader, decidedIndex: 9000, logHeld: { fromIndex: 7000, readers: [5] } },
        silent,
        joining,
        small,
        behind,
      ],
      history: [
        { configurationId: 1, startIndex: 0, members: [1] },
        { configurationId: 2, startIndex: 9, members: [1, 4, 5, 6] },
      ],
    });
    expect(lines.slice(7)).toEqual([
      'node 1 keeps its log from 7000 on for node 5',
      'node 5 is catching up: state, at 4000 of 9000, received 3.0 MiB of 12.0 MiB, from nodes 1, 4',
      'node 7 is catching up: plan, at 4000 of 9000, received 3.0 MiB, from nodes 1, 4; ' +
        'it waits, for it has no room for the state: it takes about 12.0 MiB, and 5.0 MiB are left',
      'node 7 has no link with leader 1',
      'node 6 is 4321 entries behind',
      'node 6 has no link with leader 1',
      'nodes 7 and 6 have no link with each other',
      'before: configuration 1 with members 1, from index 0 to 9',
    ]);
    const others = [
      [2, [1]],
      [3, [1]],
      [4, [1, 2]],
    ] as const;
    const linked = others.map(([id, connected]) => ({ ...leader, id, role: 'follower' as const, connected }));
    const members = [{ ...leader, connected: [2, 3, 4] }, ...linked];
    expect(describeStatus({ ...report, members }).slice(6)).toEqual([
      'nodes 2 and 3 have no link with each other',
      'nodes 3 and 4 have no link with each other',
    ]);
    expect(describeStatus({ ...report, members: [moved, silent] }).at(-1)).toBe(
      'node 1 answers at h:11, and not at h:1, where the members look for it: ' +
        'if it is to stay there, tell them: `kv reconfigure 1=h:11,4`',
    );
    const leaderless = describeStatus({ ...report, leader: undefined, members: [moved, silent] });
    expect(leaderless.find((line) => line.includes('h:11'))).toContain(
      'if it is to stay there, wait ten seconds; if nobody leads then, make so many of them reachable where they were that a majority is linked, as by a forwarded port; and then tell them',
    );
    const swapped = [
      { ...moved, answersAt: 'h:4' },
      { ...leader, id: 4, address: 'h:4', answersAt: 'h:1' },
    ];
    expect(describeStatus({ ...report, members: swapped }).at(-1)).toBe(
      'node 1 answers at h:4, and not at h:1; node 4 answers at h:1, and not at h:4, where the members look for them: ' +
        'if they are to stay there, tell them: `kv reconfigure 1=h:4,4=h:1`',
    );
    expect(statusJson({ ...report, members: [moved] }).members[0]).toMatchObject({ address: 'h:1', answersAt: 'h:11' });
  });

  test('does not take those for lost that answer, and not as they should', () => {
    const other = { ...silent, problem: 'h:4 speaks another version' };
    const members = [{ ...leader, role: 'follower' as const, connected: [] }, other];
    const lines = describeStatus({ ...report, leader: undefined, members, history: [] });
    expect(lines.slice(4)).toEqual([
      'whether there is a majority is not known: node 4 cannot be asked from here',
      'node 4 cannot be asked: h:4 speaks another version',
    ]);
    expect(statusJson({ ...report, members: [other] }).members[0]).toMatchObject({ problem: other.problem });
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
