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

test('lines that are all different are told, however many there are, and few are remembered', () => {
  const { lines, log } = recorded();
  for (let round = 0; round < 8; round++) {
    for (let node = 0; node < 300; node++) log('info', 'seen', { node });
  }
  expect(lines).toHaveLength(2400);
});
