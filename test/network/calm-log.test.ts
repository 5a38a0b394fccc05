import { expect, test } from 'vitest';
import { calmLog } from '../../src/network/calm-log.ts';

interface Line {
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>> | undefined;
}

function recorded() {
  const lines: Line[] = [];
  const clock = { nowMs: 0 };
  const log = calmLog(
    (_level, message, fields) => lines.push({ message, fields }),
    () => clock.nowMs,
  );
  return { lines, clock, log };
}

test('a line that comes each second is told five times a minute, and then how often it was not', () => {
  const { lines, clock, log } = recorded();
  for (let second = 0; second < 180; second++) {
    clock.nowMs = 1000 * second;
    log('warn', 'refused', { node: 3 });
  }
  expect(lines.map(({ fields }) => fields?.['leftOut'])).toEqual([
    ...[undefined, undefined, undefined, undefined, undefined],
    ...[55, undefined, undefined, undefined, undefined],
    ...[55, undefined, undefined, undefined, undefined],
  ]);
  expect(lines.every(({ fields }) => fields?.['node'] === 3)).toBe(true);
});

test('other fields, another level or another message make another line', () => {
  const { lines, log } = recorded();
  for (let time = 0; time < 9; time++) {
    log('warn', 'refused', { node: 3 });
    log('warn', 'refused', { node: 4 });
    log('info', 'refused', { node: 3 });
    log('warn', 'seen');
  }
  expect(lines).toHaveLength(20);
});

test('a message with other fields each time is told a hundred times a minute at most', () => {
  const { lines, log, clock } = recorded();
  for (let second = 0; second < 120; second++) {
    clock.nowMs = 1000 * second;
    for (let at = 0; at < 10; at++) log('warn', 'dropped', { port: 10 * second + at });
    log('info', `other message ${second}`);
  }
  const dropped = lines.filter(({ message }) => message === 'dropped');
  expect(dropped.map(({ fields }) => fields?.['leftOut']).filter((leftOut) => leftOut !== undefined)).toEqual([500]);
  expect(dropped).toHaveLength(200);
  expect(lines).toHaveLength(320);
});
