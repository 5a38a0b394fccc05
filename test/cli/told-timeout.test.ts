import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import Delete from '../../commands/delete.ts';
import Get from '../../commands/get.ts';
import Keep from '../../commands/keep.ts';
import MemberList from '../../commands/member/list.ts';
import Put from '../../commands/put.ts';
import Renew from '../../commands/renew.ts';
import Status from '../../commands/status.ts';
import Transact from '../../commands/transact.ts';
import { FakeCluster } from '../client/fake-cluster.ts';
import { Way } from '../client/way.ts';
import { runCommand } from './run-command.ts';

let cluster: FakeCluster;
let way: Way;
beforeEach(async () => {
  vi.stubEnv('KV_CONFIG', '');
  cluster = await FakeCluster.start(1);
  // So that part of the time has gone by once there is a connection.
  way = await Way.to(cluster.node(1).address, { delayMs: 20 });
});
afterEach(async () => {
  vi.unstubAllEnvs();
  way.close();
  await cluster.stop();
});

test.each([
  { type: Get, words: ['get', 'k'] },
  { type: Put, words: ['put', 'k', 'v'] },
  { type: Delete, words: ['delete', 'k'] },
  { type: Renew, words: ['renew', 'k', '1'] },
  { type: Transact, words: ['transact', '--put', 'k=v'] },
  { type: Keep, words: ['keep', 'k', 'v'] },
  { type: Status, words: ['status'] },
  { type: MemberList, words: ['member:list'] },
])('$words.0 tells the time that it was given where no answer comes', async ({ type, words: [id = '', ...argv] }) => {
  cluster.node(1).script = () => 'ignore';
  const given = ['--endpoints', way.address, '--timeout', '400ms'];
  const { stderr, exitCode } = await runCommand(type, id, ...argv, ...given);
  expect(stderr).toContain('within 400 ms');
  expect(exitCode).toBeGreaterThan(0);
});

test.each([
  { type: Get, words: ['get', 'k'] },
  { type: Put, words: ['put', 'k', 'v'] },
])('$words.0 tells it where it is refused, too', async ({ type, words: [id = '', ...argv] }) => {
  cluster.node(1).script = () => ({ code: 'noMajority', outcome: 'notApplied', message: 'no leader', members: [] });
  const given = ['--endpoints', way.address, '--timeout', '400ms'];
  expect((await runCommand(type, id, ...argv, ...given)).stderr).toContain('within 400 ms: no leader');
});
