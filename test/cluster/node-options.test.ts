import { expect, it } from 'vitest';
import { type CheckedNodeOptions, checkNodeOptions } from '../../src/cluster/node-options.ts';

const right: CheckedNodeOptions = {
  nodeId: 1,
  dataDirectory: 'data',
  clusterName: 'test',
  nodes: new Map([[1, '127.0.0.1:7001']]),
  address: '127.0.0.1:7001',
  settings: { electionTimeoutMs: 100 },
};

const many = (count: number) =>
  new Map(Array.from({ length: count }, (_, at) => [at + 1, `127.0.0.1:${7001 + at}`] as const));

it('options that are right are taken, of a node outside the first configuration, too', () => {
  checkNodeOptions(right);
  checkNodeOptions({ ...right, nodeId: 4, address: '127.0.0.1:7004' });
  checkNodeOptions({ ...right, address: '10.0.0.4:7004', insecure: true });
});

it.each([
  ['nodeId is 0: give a whole number', { nodeId: 0 }],
  ['nodeId is 1.5', { nodeId: 1.5 }],
  ['nodeId is "1", a text', { nodeId: '1' as never }],
  ['the options have quota: there are nodeId', { quota: 5 } as never],
  ['standsBy is "true", a text: give true or false', { standsBy: 'true' as never }],
  ['insecure is 1: give true or false', { insecure: 1 as never }],
  ['existing is 0: give true or false', { existing: 0 as never }],
  ['log is 5: give a function', { log: 5 }],
  ['dataDirectory is empty', { dataDirectory: '' }],
  ['nodes is no Map', { nodes: { 1: '127.0.0.1:7001' } as never }],
  ['an id in nodes is 0', { nodes: new Map([[0, '127.0.0.1:7001']]) }],
  ['the address of node 2 in nodes', { nodes: new Map([[2, '127.0.0.1']]) }],
  ['the address of node 2 in nodes is undefined', { nodes: new Map([[2, undefined as never]]) }],
  ['nodes names no node: give new Map', { nodes: new Map() }],
  ['nodes names 32 nodes: a cluster has at most 31', { nodes: many(32) }],
  ['nodes 1 and 2 have the same address', { nodes: new Map([1, 2].map((id) => [id, '127.0.0.1:7001'])) }],
  ['clusterName is undefined', { clusterName: undefined as never }],
  ['clusterName is 5', { clusterName: 5 as never }],
  ['cluster name "a b" is not allowed', { clusterName: 'a b' }],
  ['address is undefined', { address: undefined as never }],
  ['address 0.0.0.0:7001 can be reached from other machines', { address: '0.0.0.0:7001' }],
  ['settings is null', { settings: null as never }],
  ['address "nowhere"', { address: 'nowhere' }],
  ['settings.electionTimeoutMs is -5: a whole number', { settings: { electionTimeoutMs: -5 } }],
  ['settings.quotaBytes is 107374182.4: a whole number of bytes', { settings: { quotaBytes: 0.1 * 2 ** 30 } }],
  ['settings has foo: there are electionTimeoutMs', { settings: { foo: 1 } as never }],
])('%s', (message, change) => {
  expect(() => checkNodeOptions({ ...right, ...change })).toThrow(message);
});

it('no options at all', () => {
  expect(() => checkNodeOptions(undefined as never)).toThrow('the options are undefined: give { nodeId');
});
