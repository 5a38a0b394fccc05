import { describe, expect, it } from 'vitest';
import type { NodeId } from '../../src/omnipaxos/ballot.ts';
import type { PeerHello } from '../../src/wire/peer-message.ts';
import type { DiskImage } from '../simulation/simulated-disk.ts';
import { Client, Cluster } from './cluster.ts';

function follower(cluster: Cluster, leader: NodeId): NodeId {
  return cluster.running.find((id) => id !== leader) as NodeId;
}

function olderCopies(cluster: Cluster): readonly { readonly by: NodeId; readonly of: NodeId }[] {
  return cluster.refusals.filter(({ kind }) => kind === 'olderCopy').map(({ by, of }) => ({ by, of }));
}

/** Puts keys until `count` more are acknowledged. */
function write(client: Client, leader: NodeId, count: number): void {
  for (let number = 0; number < count; number++) client.putAcknowledged(leader, `k${number}`, `v${number}`);
}

describe('a data directory that was rolled back to an older copy (PROTOCOL: a wiped disk must not come back)', () => {
  it('is refused by all who saw a later opening, also after they were restarted', () => {
    const cluster = new Cluster([1, 2, 3]);
    const leader = cluster.elect();
    const victim = follower(cluster, leader);
    const others = cluster.running.filter((id) => id !== victim);
    cluster.crash(victim);
    const image = cluster.disk(victim).image();
    cluster.start(victim);
    cluster.tick(5);
    cluster.crash(victim);
    for (const id of others) {
      cluster.crash(id);
      cluster.start(id);
    }
    cluster.rollBack(victim, image);
    const sentBefore = cluster.sent.length;
    cluster.start(victim);
    cluster.timeouts(5);
    for (const by of others) expect(olderCopies(cluster)).toContainEqual({ by, of: victim });
    const votes = cluster.sent.slice(sentBefore).filter(({ message }) => isVote(message.payload.type));
    expect(votes.filter(({ from, to }) => from === victim || to === victim)).toEqual([]);
  });

  it('is what a member says or knows: what others have heard of later openings keeps nobody out', () => {
    const cluster = new Cluster([1, 2, 3]);
    const leader = cluster.elect();
    const replica = cluster.replica(leader);
    const members = [1, 2, 3].map((id) => cluster.replica(id).hello());
    const rumour = members.map(({ storageId }) => ({ storageId, incarnation: 1e9, nonce: 'ff' }));
    const [first] = members;
    const stranger = { ...(first as PeerHello), nodeId: 99, storageId: 'abc', clusterId: undefined, openings: rumour };
    const before = replica.hello().openings;
    replica.receive({ type: 'peerConnected', hello: stranger });
    replica.turn();
    expect(replica.hello().openings).toEqual(before);
    const id = follower(cluster, leader);
    cluster.crash(id);
    cluster.start(id);
    cluster.timeouts(5);
    expect(olderCopies(cluster)).toEqual([]);
  });

  it('is refused by the link that it came on, not by its name: a newer one may be up by the end of the turn', () => {
    const cluster = new Cluster([1, 2, 3]);
    const leader = cluster.elect();
    const id = follower(cluster, leader);
    const older = cluster.replica(id).hello();
    cluster.crash(id);
    cluster.start(id);
    cluster.tick(5);
    const newer = cluster.replica(id).hello();
    expect(newer.opened).not.toEqual(older.opened);
    const replica = cluster.replica(leader);
    for (const hello of [older, newer]) {
      replica.receive({ type: 'peerDisconnected', nodeId: id });
      replica.receive({ type: 'peerConnected', hello });
    }
    const { refusals } = replica.turn();
    expect(refusals.map(({ kind }) => kind)).toEqual(['olderCopy']);
    expect(refusals[0]?.hello).toBe(older);
  });

  it('is refused by who only heard of that opening', () => {
    const cluster = new Cluster([1, 2, 3]);
    const leader = cluster.elect();
    const victim = follower(cluster, leader);
    const absent = cluster.running.find((id) => id !== leader && id !== victim) as NodeId;
    cluster.crash(victim);
    const image = cluster.disk(victim).image();
    cluster.crash(absent);
    cluster.start(victim);
    cluster.tick(5);
    cluster.crash(victim);
    cluster.start(absent);
    cluster.tick(5);
    cluster.cut([leader], [victim]);
    cluster.rollBack(victim, image);
    cluster.start(victim);
    cluster.timeouts(3);
    expect(olderCopies(cluster)).toContainEqual({ by: absent, of: victim });
  });

  it('taken while it ran, is refused by who counted an acceptance since', () => {
    const cluster = new Cluster([1, 2, 3]);
    const leader = cluster.elect();
    const client = new Client(cluster, leader);
    write(client, leader, 5);
    const victim = follower(cluster, leader);
    const image = cluster.disk(victim).image();
    write(client, leader, 3);
    cluster.crash(victim);
    cluster.rollBack(victim, image);
    cluster.start(victim);
    cluster.timeouts(3);
    expect(olderCopies(cluster)).toContainEqual({ by: leader, of: victim });
  });

  it('taken while it ran, is refused by who counted a promise since', () => {
    const cluster = new Cluster([1, 2, 3]);
    const first = cluster.elect();
    const images = new Map(cluster.running.map((id) => [id, cluster.disk(id).image()]));
    cluster.crash(first);
    const judge = cluster.elect();
    const victim = follower(cluster, judge);
    cluster.crash(victim);
    cluster.rollBack(victim, images.get(victim) as DiskImage);
    cluster.start(victim);
    cluster.timeouts(3);
    expect(olderCopies(cluster)).toContainEqual({ by: judge, of: victim });
  });

  it('of a leader, taken within its office, is refused by who heard from it what it had on disk since', () => {
    const cluster = new Cluster([1, 2, 3]);
    const leader = cluster.elect();
    const client = new Client(cluster, leader);
    write(client, leader, 5);
    const image = cluster.disk(leader).image();
    write(client, leader, 3);
    cluster.timeouts(2);
    const others = cluster.running.filter((id) => id !== leader);
    cluster.crash(leader);
    cluster.rollBack(leader, image);
    cluster.start(leader);
    cluster.timeouts(3);
    for (const by of others) expect(olderCopies(cluster)).toContainEqual({ by, of: leader });
  });

  it('of a leader, which forgot that it was one, is refused by who heard its Prepare', () => {
    const cluster = new Cluster([1, 2, 3]);
    const images = new Map(cluster.running.map((id) => [id, cluster.disk(id).image()]));
    const leader = cluster.elect();
    const others = cluster.running.filter((id) => id !== leader);
    cluster.crash(leader);
    cluster.rollBack(leader, images.get(leader) as DiskImage);
    cluster.start(leader);
    cluster.timeouts(3);
    for (const by of others) expect(olderCopies(cluster)).toContainEqual({ by, of: leader });
  });

  it('is no name for a healthy one: crashes, trims, installs of state and reconfigurations never look like it', () => {
    const cluster = new Cluster([1, 2, 3], { logTailEntries: 0 });
    const client = new Client(cluster, cluster.elect());
    for (let round = 0; round < 12; round++) {
      const leader = cluster.elect();
      const victim = follower(cluster, leader);
      write(client, leader, 6);
      cluster.crash(victim);
      write(client, leader, 20);
      cluster.start(victim);
      if (round % 3 === 2)
        cluster.reconfigureTo(
          leader,
          [1, 2, 3].filter((id) => id !== victim),
        );
      if (round % 3 === 2) cluster.reconfigureTo(cluster.elect(), [1, 2, 3]);
      cluster.converge(1, 2, 3);
    }
    expect(cluster.refusals).toEqual([]);
  });
});

describe('a member that is rebuilt', () => {
  it('votes with its new directory in the next configuration, and the old one never again', () => {
    const cluster = new Cluster([1, 2, 3]);
    const leader = cluster.elect();
    const client = new Client(cluster, leader);
    write(client, leader, 10);
    const victim = follower(cluster, leader);
    cluster.crash(victim);
    const before = cluster.disk(victim).image();
    cluster.wipe(victim);
    cluster.start(victim);
    cluster.tick(5);
    const nodes = [1, 2, 3].map((id) => (id === victim ? { id, isRebuilt: true } : { id }));
    const ask = cluster.ask(leader, { type: 'reconfigure', nodes }, 60_000);
    cluster.until('the rebuild is done', () => ask.answer !== undefined);
    expect(ask.answer).toMatchObject({ type: 'reconfigured', configurationId: 2 });
    cluster.until('it votes', () => cluster.replica(victim).voter?.configurationId === 2);
    cluster.converge(1, 2, 3);
    expect(cluster.localValue(victim, 'k9')).toBe('v9');
    const storageId = cluster.disk(victim).storageId;
    expect(cluster.log(leader).configuration?.members.find(({ id }) => id === victim)?.storageId).toBe(storageId);
    expect(before.configuration?.members.some((member) => member.storageId === storageId)).toBe(false);
  });

  it('must not lose the vote of a directory that is whole', () => {
    const cluster = new Cluster([1, 2, 3]);
    const leader = cluster.elect();
    const victim = follower(cluster, leader);
    for (const id of [victim, leader]) {
      const nodes = [1, 2, 3].map((one) => (one === id ? { id: one, isRebuilt: true } : { id: one }));
      expect(cluster.askNow(leader, { type: 'reconfigure', nodes })).toMatchObject({
        type: 'failed',
        code: 'invalid',
        outcome: 'notApplied',
        message: expect.stringContaining(`node ${id} runs and votes`),
      });
    }
  });
});

function isVote(type: string): boolean {
  return type === 'Promise' || type === 'Accepted';
}
