import { describe, expect, it } from 'vitest';
import { checkedTargets } from '../../src/replica/membership/target-nodes.ts';
import type { TargetNode } from '../../src/wire/client-message.ts';
import { Cluster } from './cluster.ts';

const two = { id: 2, address: 'node-2:7000' };

describe('the next members, as a request names them', () => {
  it('are taken with their addresses in the one way to write them', () => {
    const nodes = [{ id: 1 }, { id: 2, address: 'HOST:7000' }, { id: 3, isRebuilt: true }] as const;
    expect(checkedTargets(nodes)).toEqual([{ id: 1 }, { id: 2, address: 'host:7000' }, { id: 3, isRebuilt: true }]);
  });

  const wrong: [string, TargetNode[], string][] = [
    ['an address that is none', [{ id: 2, address: 'no address' }], 'the address of node 2, "no address" has no port'],
    ['an empty one', [{ id: 2, address: '' }], 'the address of node 2, "" has no port'],
    ['a path', [{ id: 2, address: 'h:1/x?y' }], 'the address of node 2, "h:1/x?y" has a bad port'],
    ['all of a machine', [{ id: 2, address: '0.0.0.0:7000' }], 'stands for all addresses of a machine'],
    ['one address twice', [two, { ...two, id: 3 }], 'nodes 2 and 3 have the same address node-2:7000'],
    ['one id twice', [{ id: 1 }, { id: 1 }], 'node ids 1, 1 are not distinct'],
    ['no id', [{ id: 0 }], 'node id 0 is not a positive integer'],
    ['an id that no list may have', [{ id: 2 ** 40 }], 'node id 1099511627776 is too high'],
    ['nobody', [], 'a configuration needs at least one node'],
    ['too many', Array.from({ length: 32 }, (_, at) => ({ id: at + 1 })), '32 members: at most 31 are allowed'],
  ];
  it.each(wrong)('are refused: %s', (_, nodes, problem) => {
    const cluster = new Cluster([1, 2, 3]);
    const leader = cluster.elect();
    for (const type of ['fill', 'reconfigure'] as const) {
      const answer = cluster.askNow(leader, { type, nodes });
      expect(answer).toMatchObject({ type: 'failed', code: 'invalid', outcome: 'notApplied' });
      expect(answer).toHaveProperty('message', expect.stringContaining(problem));
    }
    cluster.tick(20);
    expect(cluster.replica(leader).status().configurationId).toBe(1);
  });

  it('are refused where one would get the address of another that stays', () => {
    const cluster = new Cluster([1, 2, 3]);
    const nodes = [{ id: 1, address: 'node-2:7000' }, { id: 2 }, { id: 3 }];
    expect(cluster.askNow(cluster.elect(), { type: 'reconfigure', nodes })).toMatchObject({
      ...{ type: 'failed', code: 'invalid' },
      message: 'nodes 1 and 2 would have the same address node-2:7000: each node needs its own',
    });
  });
});
