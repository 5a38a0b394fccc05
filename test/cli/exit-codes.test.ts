import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { CommandError, exitCodes, reportOf } from '../../src/cli/exit-codes.ts';
import { KvError, type KvErrorCode } from '../../src/client/call/errors.ts';
import { InputError } from '../../src/cluster/input-error.ts';
import { AddressInUseError, CannotListenError } from '../../src/network/listening.ts';
import { DataDirectoryError, type DataDirectoryErrorCode } from '../../src/storage/disk/data-directory-error.ts';
import { DamagedError, DiskFailedError } from '../../src/storage/disk/storage-error.ts';

function exitOf(error: unknown): number | undefined {
  const report = reportOf(error);
  return report && exitCodes[report.exit].code;
}

test.each<[KvErrorCode, 'notApplied' | 'unknown', number]>([
  ['invalid', 'notApplied', 2],
  ['tooLarge', 'notApplied', 8],
  ['noMajority', 'notApplied', 5],
  ['noMajority', 'unknown', 6],
  ['timeout', 'unknown', 6],
  ['timeout', 'notApplied', 5],
  ['busy', 'notApplied', 8],
  ['busy', 'unknown', 6],
  ['sessionExpired', 'unknown', 6],
  ['reconfiguring', 'notApplied', 4],
  ['unreachable', 'notApplied', 5],
  ['notKvNode', 'notApplied', 5],
  ['untrusted', 'notApplied', 7],
  ['closed', 'notApplied', 5],
  ['closed', 'unknown', 6],
  ['internal', 'unknown', 1],
])('a failure %s with outcome %s exits with %i', (code, outcome, exit) => {
  expect(exitOf(new KvError(code, 'm', outcome))).toBe(exit);
});

test('no unknown outcome gets a code that promises "not applied", and nothing without effect gets 6', () => {
  const codes: KvErrorCode[] = [
    'noMajority',
    'timeout',
    'busy',
    'sessionExpired',
    'reconfiguring',
    'unreachable',
    'closed',
  ];
  for (const code of codes) {
    expect(exitOf(new KvError(code, 'm', 'unknown'))).toBe(6);
    expect(exitOf(new KvError(code, 'm', 'notApplied'))).not.toBe(6);
  }
});

test.each<[DataDirectoryErrorCode, number]>([
  ['inUse', 2],
  ['otherNode', 2],
  ['otherCluster', 2],
  ['newerFormat', 2],
  ['notWritable', 2],
  ['notEmpty', 2],
  ['absent', 2],
  ['damaged', 1],
  ['unfinished', 1],
])('a data directory that is %s exits with %i', (code, exit) => {
  expect(exitOf(new DataDirectoryError(code, 'm'))).toBe(exit);
});

test('the errors of a node are known by the names that their classes have', () => {
  const addressInUse = new AddressInUseError('port taken');
  expect(reportOf(addressInUse)).toEqual({
    exit: 'usage',
    code: 'addressInUse',
    message: 'port taken',
    outcome: 'notApplied',
  });
  expect(exitOf(new CannotListenError('m'))).toBe(2);
  expect(exitOf(new DamagedError('f', 'w', 'p'))).toBe(1);
  expect(exitOf(new DiskFailedError('f', new Error('EIO')))).toBe(9);
});

test('bad input, a missing key and an unforeseen error', () => {
  expect(exitOf(new InputError('m'))).toBe(2);
  expect(exitOf(new CommandError('notFound', 'notFound', 'm'))).toBe(3);
  expect(reportOf(new TypeError('m'))).toBeUndefined();
});

test('README.md shows this very table', () => {
  const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');
  const rows = [...readme.matchAll(/^\| ([0-9]+) \| (.+) \|$/gm)].map((row) => [Number(row[1]), row[2]]);
  expect(rows).toEqual(Object.values(exitCodes).map(({ code, meaning }) => [code, meaning]));
});
