import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { startNode } from '../../src/server.ts';
import { Scratch } from '../storage/scratch.ts';
import { TestNode, until } from './test-node.ts';

it('a node that a peer refuses as soon as it listens says why, and does not close as if in good order', async () => {
  const scratch = new Scratch();
  onTestFinished(() => scratch.remove());
  const dataDirectory = scratch.fresh();
  const one = await TestNode.start(1, { olderCopies: [3], limits: { redialMaxMs: 50 } });
  const vacant = await TestNode.start(3);
  const { address } = vacant;
  await vacant.stop();
  const nodes = new Map([
    [1, one.address],
    [2, '127.0.0.1:1'],
    [3, address],
  ]);
  one.links.dial(3, address);

  const ended = startNode({ nodeId: 3, dataDirectory, clusterName: 'test', nodes, address }).then(
    ({ closed }) => closed,
  );
  await expect(ended).rejects.toThrow('(node 1 says: an older copy)');
  await until(() => expect(one.accepted.size).toBe(0));
  expect(existsSync(join(dataDirectory, 'closed'))).toBe(false);
});

it('a node that cannot listen leaves no directory behind', async () => {
  const scratch = new Scratch();
  onTestFinished(() => scratch.remove());
  const taken = await TestNode.start(1);
  const dataDirectory = join(scratch.fresh(), 'data');
  const { address } = taken;
  const started = startNode({ nodeId: 1, dataDirectory, clusterName: 'test', nodes: new Map([[1, address]]), address });
  await expect(started).rejects.toMatchObject({ name: 'AddressInUseError' });
  expect(existsSync(dataDirectory)).toBe(false);
  await taken.stop();
});

it('a node that is to have data makes no new directory, and starts on one that it has made', async () => {
  const scratch = new Scratch();
  onTestFinished(() => scratch.remove());
  const vacant = await TestNode.start(1);
  const { address } = vacant;
  await vacant.stop();
  // As a mount point is without its disk, or with an empty one.
  const dataDirectory = scratch.fresh();
  mkdirSync(join(dataDirectory, 'lost+found'), { recursive: true });
  const options = { nodeId: 1, dataDirectory, clusterName: 'test', nodes: new Map([[1, address]]), address };
  await expect(startNode({ ...options, existing: true })).rejects.toMatchObject({
    name: 'DataDirectoryError',
    code: 'absent',
    message: expect.stringContaining(`${dataDirectory} has no data`),
  });
  expect(readdirSync(dataDirectory)).toEqual(['lost+found']);
  // What a crash leaves while a directory is being made holds nothing either.
  mkdirSync(join(dataDirectory, 'log'));
  writeFileSync(join(dataDirectory, 'creating'), '');
  await expect(startNode({ ...options, existing: true })).rejects.toMatchObject({ code: 'absent' });
  for (const existing of [false, true]) {
    const node = await startNode({ ...options, existing });
    await node.stop();
    await node.closed;
  }
});
