import { describe, expect, it } from 'vitest';
import type { Configuration } from '../../src/cluster/configuration.ts';
import { incumbencyIn, noOffice } from '../../src/replica/membership/incumbent.ts';

function next(ids: readonly number[], before: readonly number[], ofId = 4): Configuration {
  const members = ids.map((id) => ({ id, address: `node-${id}:7000`, storageId: `${id}` }));
  return {
    configurationId: 5,
    startIndex: 9,
    members,
    past: [{ configurationId: ofId, startIndex: 1, memberIds: before }],
  };
}

/** Who of the members starts in office, where `leader` led before, as all but `forgetful` know. */
function inOffice(configuration: Configuration, leader: number, forgetful?: number) {
  const before = configuration.past?.at(-1)?.memberIds ?? [];
  return configuration.members.flatMap(({ id }) => {
    const isMember = before.includes(id) && id !== forgetful;
    const office = isMember ? { isInOffice: id === leader, leader } : noOffice;
    const incumbency = incumbencyIn(configuration, id, office);
    return incumbency === undefined ? [] : [`${id}: ${incumbency}`];
  });
}

describe('who starts a configuration in office', () => {
  it('is the leader, if it goes on', () => {
    expect(inOffice(next([1, 2, 3], [1, 2, 3]), 3)).toEqual(['3: incumbent']);
    expect(inOffice(next([3, 4, 5], [1, 2, 3]), 3)).toEqual(['3: incumbent']);
  });

  it('is the first of those who stay, if it does not', () => {
    expect(inOffice(next([1, 2, 4], [1, 2, 3]), 3)).toEqual(['1: successor']);
    expect(inOffice(next([1, 3, 4], [2, 3, 4]), 2)).toEqual(['3: successor']);
  });

  it('is the first of all, if nobody stays', () => {
    expect(inOffice(next([4, 5, 6], [1, 2, 3]), 3)).toEqual(['4: successor']);
  });

  it('is the leader alone, though the first of those who stay has caught up first and knows of none, as one that is rebuilt', () => {
    expect(inOffice(next([1, 2, 3], [1, 2, 3]), 3, 1)).toEqual(['3: incumbent']);
  });

  it('is nobody where it is not known who was there before, as in the first configuration', () => {
    expect(inOffice(next([1, 2, 3], [1, 2, 3], 3), 9)).toEqual([]);
    expect(incumbencyIn({ configurationId: 1, startIndex: 0, members: [] }, 1, noOffice)).toBeUndefined();
  });
});
