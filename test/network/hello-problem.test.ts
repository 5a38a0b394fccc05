import { expect, it } from 'vitest';
import { clusterProblem, helloProblem, type MeantNodes } from '../../src/network/hello-problem.ts';
import type { PeerHello } from '../../src/wire/peer-message.ts';
import { clusterId, helloOf } from './test-node.ts';

const own = helloOf(1);
const accepted = { dialledNodeId: undefined, meantNodeId: 1 };
const dialled = { dialledNodeId: 2, meantNodeId: undefined };

it.each([accepted, dialled, { dialledNodeId: undefined, meantNodeId: undefined }])('has none with %j', (meant) => {
  expect(helloProblem(own, helloOf(2), meant)).toBeUndefined();
  expect(helloProblem(own, helloOf(2, { clusterId: undefined }), meant)).toBeUndefined();
});

it.each<[string, PeerHello, MeantNodes]>([
  ['node 3 was expected at this address, node 1 is there', helloOf(2), { ...accepted, meantNodeId: 3 }],
  ['node 2 was expected at this address, node 3 is there', helloOf(3), dialled],
  ['both ends say that they are node 1', helloOf(1), accepted],
  ['node 2 is of cluster "other", node 1 of "test"', helloOf(2, { clusterName: 'other' }), accepted],
  ['node 2 says that it is at "nowhere", which is no host:port', helloOf(2, { address: 'nowhere' }), accepted],
  [`the nodes belong to different clusters, ff and ${clusterId}`, helloOf(2, { clusterId: 'ff' }), dialled],
])('says that %s', (problem, other, meant) => {
  expect(helloProblem(own, other, meant)).toBe(problem);
});

it('keeps nodes apart that belong to different clusters, and no others', () => {
  expect(clusterProblem('a', 'a')).toBeUndefined();
  expect(clusterProblem('a', undefined)).toBeUndefined();
  expect(clusterProblem(undefined, 'b')).toBeUndefined();
  expect(clusterProblem('a', 'b')).toBe('the nodes belong to different clusters, b and a');
});
