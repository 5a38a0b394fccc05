import { describe, expect, it } from 'vitest';
import { RefusedWrites } from '../../src/replica/clients/refused-writes.ts';
import { failure } from '../../src/replica/output.ts';
import { Client, Cluster } from './cluster.ts';

const busy = failure('busy', 'notApplied', 'too many');
const write = (number: number, session = 7) => ({ session, number, acknowledgedBelow: 0 });

describe('writes behind one that was refused', () => {
  it('are refused, too, until that one comes again', () => {
    const refused = new RefusedWrites();
    refused.note(1, write(5), busy, 1000);
    refused.note(1, write(6), busy, 1000);
    expect(refused.refusalOf(1, write(7), 1001)).toBe(busy);
    expect(refused.refusalOf(1, write(6), 1001)).toBe(busy);
    expect(refused.refusalOf(1, write(5), 1002)).toBeUndefined();
    expect(refused.refusalOf(1, write(6), 1002)).toBeUndefined();
    expect(refused.refusalOf(1, write(7), 1002)).toBeUndefined();
  });

  it('are refused for a moment only: it may not come again', () => {
    const refused = new RefusedWrites();
    refused.note(1, write(5), busy, 1000);
    expect(refused.refusalOf(1, write(6), 1249)).toBe(busy);
    expect(refused.refusalOf(1, write(6), 1250)).toBeUndefined();
    refused.note(1, write(5), busy, 2000);
    refused.note(1, write(8), busy, 2400);
    expect(refused.refusalOf(1, write(7), 2401), 'the first was forgotten').toBeUndefined();
  });

  it('are not refused once they say that it is settled: its client has given it up', () => {
    const refused = new RefusedWrites();
    refused.note(1, { session: 7, number: 5, acknowledgedBelow: 5 }, busy, 1000);
    expect(refused.refusalOf(1, { session: 7, number: 6, acknowledgedBelow: 5 }, 1001)).toBe(busy);
    expect(refused.refusalOf(1, { session: 7, number: 6, acknowledgedBelow: 6 }, 1002)).toBeUndefined();
  });

  it('are refused, too, where one from before the first comes after it', () => {
    const refused = new RefusedWrites();
    refused.note(1, write(5), busy, 1000);
    expect(refused.refusalOf(1, write(4), 1001)).toBeUndefined();
    expect(refused.refusalOf(1, write(6), 1002)).toBe(busy);
  });

  it('are refused, too, where the first comes again and the second, turned away meanwhile, has not', () => {
    const refused = new RefusedWrites();
    refused.note(1, write(5), busy, 1000);
    refused.note(1, write(6), busy, 1001);
    expect(refused.refusalOf(1, write(5), 1002)).toBeUndefined();
    expect(refused.refusalOf(1, write(7), 1003)).toBe(busy);
    expect(refused.refusalOf(1, write(6), 1004)).toBeUndefined();
    expect(refused.refusalOf(1, write(7), 1005)).toBeUndefined();
  });

  it('are refused, too, behind one that was refused after the first was settled', () => {
    const refused = new RefusedWrites();
    refused.note(1, { session: 7, number: 5, acknowledgedBelow: 5 }, busy, 1000);
    refused.note(1, { session: 7, number: 9, acknowledgedBelow: 6 }, busy, 1001);
    expect(refused.refusalOf(1, { session: 7, number: 10, acknowledgedBelow: 6 }, 1002)).toBe(busy);
  });

  it('keep their order where the inbox was full', () => {
    const cluster = new Cluster([1], { inboxMax: 1 });
    const leader = cluster.elect();
    const client = new Client(cluster, leader);
    const commands = ['before', 'first', 'second'].map((value) => client.command('put', 'k', value));
    const [before, first, second] = commands as [Uint8Array, Uint8Array, Uint8Array];
    const replica = cluster.replica(leader);
    const receive = (command: Uint8Array, id: number) =>
      replica.receive({
        type: 'requests',
        connection: 9,
        requests: [{ type: 'write', command, id, timeoutMs: 60_000 }],
      });
    expect([receive(before, 1), receive(first, 2)]).toEqual([true, false]);
    replica.turn();
    expect(receive(second, 3)).toBe(true);
    expect(replica.turn().responses.get(9)).toMatchObject([{ id: 3, type: 'failed', code: 'busy' }]);
  });

  it('of another session or connection are none of them', () => {
    const refused = new RefusedWrites();
    refused.note(1, write(5), busy, 1000);
    expect(refused.refusalOf(1, write(6, 8), 1001)).toBeUndefined();
    expect(refused.refusalOf(2, write(6), 1001)).toBeUndefined();
    expect(refused.refusalOf(1, write(6), 1001)).toBe(busy);
    refused.forget(1);
    expect(refused.refusalOf(1, write(6), 1001)).toBeUndefined();
    refused.note(1, write(5, 0), busy, 1000);
    expect(refused.refusalOf(1, write(6, 0), 1001), 'openings have no order').toBeUndefined();
  });

  it('keep their order where a newcomer becomes a member while they are on their way', () => {
    const cluster = new Cluster([1, 2, 3]);
    const leader = cluster.elect();
    cluster.start(4);
    cluster.settle();
    const client = new Client(cluster, leader);
    const [first, second] = [client.command('put', 'k', 'first'), client.command('put', 'k', 'second')];
    const ask = (command: Uint8Array) => cluster.ask(4, { type: 'write', command }, 60_000);
    const early = ask(first);
    cluster.reconfigure(leader, [4], 60_000);
    cluster.until('it leads', () => cluster.replica(4).voter?.paxos.isLeaderInAcceptPhase === true);
    expect(early.answer).toMatchObject({ type: 'failed', code: 'notMember' });
    expect(cluster.askNow(4, { type: 'write', command: second })).toEqual(early.answer);
    const [again, behind] = [ask(first), ask(second)];
    cluster.until('both are answered', () => again.answer !== undefined && behind.answer !== undefined);
    const revisionOf = ({ answer }: typeof again) =>
      answer?.type === 'outcome' && 'revision' in answer.outcome ? answer.outcome.revision : Number.NaN;
    expect(revisionOf(behind)).toBe(revisionOf(again) + 1);
  });
});
