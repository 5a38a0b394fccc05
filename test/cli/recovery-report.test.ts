import { expect, test } from 'vitest';
import { describeSurvivors, quorumLeft } from '../../src/cli/report/recovery-report.ts';

const members = [1, 2, 3].map((id) => ({ id, address: `127.0.0.1:700${id}`, storageId: `s${id}` }));

function survivor(nodeId: number, olderCopy?: string) {
  return {
    path: `data/node-${nodeId}`,
    identity: { nodeId, storageId: `s${nodeId}` },
    clusterId: '0123456789abcdef',
    configuration: { configurationId: 1, startIndex: 0, members },
    olderCopy,
    head: { decidedIndex: 5, endIndex: 6, acceptedRound: { n: 2 } },
    state: { durableIndex: 5 },
  };
}

test('enough members that are left are to be started, and nothing is recovered', () => {
  expect(quorumLeft([survivor(1), survivor(3)])).toContain('nodes 1, 3 are left of 3 members, and that is enough');
  expect(quorumLeft([survivor(1)])).toBeUndefined();
});

test('an older copy is not left: it forgot votes', () => {
  const given = [survivor(1, 'node 3 says so'), survivor(2, 'node 3 says so'), survivor(3)];
  expect(quorumLeft(given)).toBeUndefined();
  const lines = describeSurvivors(given, []);
  expect(lines.filter((line) => line.startsWith('older copy: data/node-'))).toHaveLength(2);
});
