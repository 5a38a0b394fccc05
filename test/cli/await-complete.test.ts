import { expect, test } from 'vitest';
import { awaitComplete } from '../../src/cli/membership/await-complete.ts';
import type { ClusterStatus, MemberStatus } from '../../src/client/members/cluster-status.ts';
import type { CatchUpStatus } from '../../src/wire/client-message.ts';

function statusWith(catchUp: Partial<CatchUpStatus> | undefined): ClusterStatus {
  const common = { isMember: true, configurationId: 2, hasOtherDirectory: false };
  const members = [
    { ...common, id: 1, state: 'member' },
    { ...common, id: 2, state: 'joining', catchUp: { donors: [], bytesReceived: 0, ...catchUp } },
  ] as unknown as MemberStatus[];
  return { clusterId: 'c0ffee', configurationId: 2, leader: 1, fullNodes: [], members, history: [] };
}

test('a member that has no room for the data is not waited for', async () => {
  const answers = [statusWith({}), statusWith({ lackOfRoom: { neededBytes: 4096, roomBytes: 1024 } })];
  const client = { clusterStatus: async () => answers.shift() as ClusterStatus };
  const waiting = awaitComplete(client, {
    configurationId: 2,
    newcomers: [2],
    timeoutMs: 60_000,
    onProgress: () => {},
  });
  await expect(waiting).rejects.toMatchObject({
    ...{ code: 'incomplete', outcome: 'applied' },
    message:
      'configuration 2 stands, but node 2 has no room for the state: it takes about 4.0 KiB, and 1.0 KiB are left: ' +
      'give it more room, and it goes on by itself',
  });
});
