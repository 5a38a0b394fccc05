import { expect, it } from 'vitest';
import { type CheckedNodeOptions, checkNodeOptions } from '../../src/cluster/node-options.ts';

const right: CheckedNodeOptions = {
  nodeId: 1,
  dataDirectory: 'data',
  nodes: new Map([[1, '127.0.0.1:7001']]),
  address: '127.0.0.1:7001',
  settings: { electionTimeoutMs: 100 },
};

it('options that are right are taken, of a node outside the first configuration, too', () => {
  checkNodeOptions(right);
  checkNodeOptions({ ...right, nodeId: 4, address: '127.0.0.1:7004' });
});

it.each([
  ['nodeId is 0: give a whole number', { nodeId: 0 }],
  ['nodeId is 1.5', { nodeId: 1.5 }],
  ['dataDirectory is empty', { dataDirectory: '' }],
  ['nodes is no Map', { nodes: { 1: '127.0.0.1:7001' } as never }],
  ['an id in nodes is 0', { nodes: new Map([[0, '127.0.0.1:7001']]) }],
  ['the address of node 2 in nodes', { nodes: new Map([[2, '127.0.0.1']]) }],
  ['address "nowhere"', { address: 'nowhere' }],
  ['settings.electionTimeoutMs is -5: give 20 to 60000', { settings: { electionTimeoutMs: -5 } }],
  ['settings has foo: there are electionTimeoutMs', { settings: { foo: 1 } as never }],
])('%s', (message, change) => {
  expect(() => checkNodeOptions({ ...right, ...change })).toThrow(message);
});
