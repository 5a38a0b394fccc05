import { expect, test } from 'vitest';
import { enoughLeft } from '../../src/backup/enough-left.ts';
import { describeEnough, describeSurvivors } from '../../src/cli/report/recovery-report.ts';

const members = [1, 2, 3].map((id) => ({ id, address: `127.0.0.1:700${id}`, storageId: `s${id}` }));

const nothing = {
  head: { decidedIndex: 0, endIndex: 0, acceptedRound: { n: 0 } },
  state: { durableIndex: 0 },
};

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

function words(...given: ReturnType<typeof survivor>[]): string | undefined {
  const enough = enoughLeft(given);
  return enough && describeEnough(enough, undefined);
}

test('enough members that are left are to be started, and nothing is recovered', () => {
  expect(words(survivor(1), survivor(3))).toContain(
    'nodes 1, 3 are left of 3 members, and that is enough: start them, nothing is lost then',
  );
  expect(words(survivor(1))).toBeUndefined();
  const enough = { configuration: survivor(1).configuration, members: [1, 3], givers: [], strangers: [] };
  expect(describeEnough(enough, [1, 4, 5])).toContain(
    'a change of members to 1, 4, 5 may take effect then, and needs these to go on',
  );
});

test('an older copy is not left: it forgot votes', () => {
  const given = [survivor(1, 'node 3 says so'), survivor(2, 'node 3 says so'), survivor(3)];
  expect(words(...given)).toBeUndefined();
  const lines = describeSurvivors(given, []);
  expect(lines.filter((line) => line.startsWith('older copy: data/node-'))).toHaveLength(2);
});

test('members that were still joining are to be started with a node that has what they lack', () => {
  const configuration = { configurationId: 2, startIndex: 5, members };
  const joining = [1, 2].map((id) => ({ ...survivor(id), configuration, ...nothing }));
  const former = { ...survivor(4), configuration };
  expect(words(...joining)).toBeUndefined();
  expect(words(...joining, former)).toContain(
    'nodes 1, 2 are left of 3 members, and that is enough with node 4, from which they get what they lack: ' +
      'start all of these, nothing is lost then',
  );
  const slept = {
    ...former,
    configuration: { configurationId: 1, startIndex: 0, members: [{ ...members[0], id: 4 }] },
  };
  expect(words(...joining, slept as typeof former)).toContain(
    '; the cluster files of nodes 1, 2 have to name 4, or they do not find each other',
  );
  expect(words(...joining, { ...former, olderCopy: 'node 3 says so' }), 'it is refused').toBeUndefined();
  expect(describeSurvivors(joining, [], joining).at(-1)).toBe(
    'still joining: data/node-2: its node had not got all that was decided before configuration 2, which begins with revision 6, ' +
      'and did not vote yet',
  );
});
