import { expect, test } from 'vitest';
import { describePlan, faultTolerance, planReconfiguration } from '../../src/cli/arguments/reconfiguration-plan.ts';

const current = {
  configurationId: 1,
  members: [
    { id: 1, address: 'h:1', isMember: true },
    { id: 2, address: 'h:2', isMember: true },
    { id: 3, address: 'h:3', isMember: true },
    // Answers, but is none of them: that it is left out is no change.
    { id: 9, address: 'h:9', isMember: false },
  ],
};

test('a plan says who comes, who goes, who moves, and how many may fail', () => {
  const plan = planReconfiguration(current, [{ id: 1 }, { id: 2, address: 'h:22' }, { id: 4 }], (id) =>
    id === 4 ? 'h:4' : undefined,
  );
  expect(plan.nodes).toEqual([{ id: 1 }, { id: 2, address: 'h:22' }, { id: 4, address: 'h:4' }]);
  expect(describePlan(plan)).toEqual([
    'from configuration 1 with members 1, 2, 3',
    '  to configuration 2 with members 1, 2, 4',
    '  added: 4 at h:4',
    '  removed: 3 (stands by from then on)',
    '  moved: 2 from h:2 to h:22',
    '  fault tolerance: 1 node of 3 may fail (was 1 node of 3 may fail)',
  ]);
});

test('an address given wins over the file, and the file says nothing about members', () => {
  const plan = planReconfiguration(current, [{ id: 1 }, { id: 5, address: 'h:55' }, { id: 6 }], (id) =>
    new Map([
      [1, 'x:1'],
      [5, 'h:5'],
    ]).get(id),
  );
  expect(plan.nodes).toEqual([{ id: 1 }, { id: 5, address: 'h:55' }, { id: 6 }]);
  expect(plan.moved).toEqual([]);
});

test.each([
  [1, 0],
  [2, 0],
  [3, 1],
  [4, 1],
  [5, 2],
])('of %i nodes %i may fail', (memberCount, count) => {
  expect(faultTolerance(memberCount)).toBe(count);
});
