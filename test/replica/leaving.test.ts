import { describe, expect, it } from 'vitest';
import type { Configuration } from '../../src/cluster/configuration.ts';
import { configurationOf as opens } from '../../src/cluster/stop-sign.ts';
import type { NodeId } from '../../src/omnipaxos/ballot.ts';
import { Leaving } from '../../src/replica/membership/leaving.ts';
import { Peers } from '../../src/replica/membership/peers.ts';

const memberOf = (id: NodeId) => ({ id, address: `127.0.0.1:${7000 + id}`, storageId: String(id).padStart(16, '0') });
const configurationOf = (configurationId: number, startIndex: number, ids: readonly NodeId[]): Configuration => ({
  configurationId,
  startIndex,
  members: ids.map(memberOf),
});

const present = configurationOf(3, 100, [1, 2, 3]);
const next: Configuration = {
  ...configurationOf(4, 200, [2, 3, 4]),
  past: [{ configurationId: 3, startIndex: 100, memberIds: [1, 2, 3] }],
};
const afterNext: Configuration = {
  ...configurationOf(5, 300, [2, 4, 5]),
  past: [...(next.past ?? []), { configurationId: 4, startIndex: 200, memberIds: [2, 3, 4] }],
};
const electionTimeoutTicks = 10;

/** Node 1, which votes in the present configuration and was told of `announced` at tick 50, with its peers. */
function told(announced: readonly Configuration[]): { leaving: Leaving; peers: Peers } {
  const peers = new Peers();
  const leaving = new Leaving(present, 1, peers, electionTimeoutTicks);
  for (const configuration of announced) leaving.onAnnounce(configuration, 50);
  return { leaving, peers };
}

describe('a voter', () => {
  it('that was told of nothing leaves for nothing', () => {
    const { leaving, peers } = told([]);
    for (const id of [2, 3]) peers.heard(id, 4);
    expect(leaving.announced).toBeUndefined();
    expect(leaving.toEnterAsLeader).toBeUndefined();
    expect(leaving.toEnterWithoutState(10_000)).toBeUndefined();
    expect(leaving.toEnterWith(10_000)).toBeUndefined();
  });

  it('keeps the latest that it was told of', () => {
    expect(told([next, afterNext]).leaving.announced).toBe(afterNext);
    expect(told([afterNext, next]).leaving.announced).toBe(afterNext);
  });

  it('leaves without the state only once no quorum of its own is left, or something is decided behind the StopSign', () => {
    const { leaving, peers } = told([next]);
    expect(leaving.toEnterWithoutState(200)).toBeUndefined();
    expect(leaving.toEnterWithoutState(201)).toBe(next);
    peers.heard(2, 4);
    expect(leaving.toEnterWithoutState(200), 'with node 3 it is a majority').toBeUndefined();
    peers.heard(3, 5);
    expect(leaving.toEnterWithoutState(200)).toBe(next);
  });

  it('goes no further than it has to: its vote may be needed in the next one', () => {
    for (const announced of [
      [next, afterNext],
      [afterNext, next],
    ]) {
      const { leaving, peers } = told(announced);
      for (const id of [2, 3]) peers.heard(id, 4);
      expect(leaving.toEnterWithoutState(300)).toBe(next);
      expect(leaving.toEnterAsLeader).toBe(next);
      expect(leaving.toEnterWithoutState(301), 'a quorum of the latest has it all').toBe(afterNext);
    }
  });

  it('that lacks nothing but the StopSign has it by the announcement of the next configuration', () => {
    const stopSign = told([next]).leaving.toDecideAt(199);
    expect(stopSign && opens(stopSign, 199)).toEqual(configurationOf(4, 200, [2, 3, 4]));
    expect(told([next, afterNext]).leaving.toDecideAt(199), 'whatever it was told of since').toEqual(stopSign);
    expect(told([next]).leaving.toDecideAt(198)).toBeUndefined();
    expect(told([next]).leaving.toDecideAt(200)).toBeUndefined();
    expect(told([afterNext]).leaving.toDecideAt(299), 'that is the StopSign of a later one').toBeUndefined();
  });

  it('leaves with a state from behind the StopSign of its own configuration', () => {
    const { leaving } = told([afterNext]);
    expect(leaving.toEnterWith(199)).toBeUndefined();
    expect(leaving.toEnterWith(200)).toBe(afterNext);
  });

  it('leaves with any where nobody knows any more at which index its own ended', () => {
    const { leaving } = told([{ ...afterNext, past: [] }]);
    expect(leaving.toEnterWith(1)).toBeDefined();
  });
});

describe('a leader of the past', () => {
  it('stays while a quorum of its own may be left; but once it was in office for four election timeouts it goes away for sixteen', () => {
    const { leaving } = told([next]);
    expect(leaving.toEnterAsLeader).toBeUndefined();
    const goes = [60, 90, 91].filter((tick) => leaving.mustGoAway(tick));
    expect(goes).toEqual([91]);
    expect([91, 250, 251].map((tick) => leaving.isAway(tick))).toEqual([true, true, false]);
    // What it takes to come into office again does not count.
    leaving.tick(false, 300);
    leaving.tick(true, 301);
    expect([340, 341].filter((tick) => leaving.mustGoAway(tick))).toEqual([341]);
  });

  it('that asks nobody for a promise would be back at once', () => {
    const isAlone = (configuration: Configuration) => new Leaving(configuration, 1, new Peers(), 10).isAlone;
    expect(isAlone(present)).toBe(false);
    expect(isAlone({ ...present, quorum: { prepare: 1, accept: 3 } })).toBe(true);
    expect(isAlone(configurationOf(1, 0, [1]))).toBe(true);
  });

  it('leaves at once where none is', () => {
    const { leaving, peers } = told([next]);
    for (const id of [2, 3]) peers.heard(id, 4);
    expect(leaving.toEnterAsLeader).toBe(next);
  });
});
