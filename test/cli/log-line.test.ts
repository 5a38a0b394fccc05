import { expect, test } from 'vitest';
import { formatLogLine } from '../../src/cli/report/log-line.ts';

const at = new Date(0);

test('a log line has time, level, node, message and fields', () => {
  const fields = { node: 2, address: '127.0.0.1:7002', reason: 'timed out', none: undefined, list: [1, 2], empty: '' };
  expect(formatLogLine(at, 1, 'info', 'peer connected', fields)).toBe(
    '1970-01-01T00:00:00.000Z info  node 1: peer connected node=2 address=127.0.0.1:7002 reason="timed out" list=[1,2] empty=""',
  );
});

test('what comes from outside stays within its line and its quotes', () => {
  const line = formatLogLine(at, 1, 'warn', 'a\nb', { reason: 'x\u001b[2J\n" node=9' });
  expect(line).toBe('1970-01-01T00:00:00.000Z warn  node 1: a\\nb reason="x\\x1b[2J\\n\\" node=9"');
});
