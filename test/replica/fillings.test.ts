import { describe, expect, it } from 'vitest';
import type { NodeId } from '../../src/omnipaxos/ballot.ts';
import type { ReplicaSettings } from '../../src/replica/settings.ts';
import type { NewcomerFilling } from '../../src/wire/client-message.ts';
import { Client, Cluster } from './cluster.ts';

/** Hardly any log stays below the checkpoints, and little fits into a message: who comes late needs state, in many pieces. */
const manyPieces = { checkpointTicks: 5, logTailEntries: 1, catchUpBytesMax: 100, voteLagEntries: 5 };
const all = [1, 2, 3];

it('a former member that is started again has applied what it had, as it tells', () => {
  const { cluster, leader } = filled(20);
  const [former, follower] = all.filter((id) => id !== leader) as [NodeId, NodeId];
  cluster.converge(...all);
  cluster.reconfigureTo(leader, [leader, follower]);
  cluster.until('it stands by', () => cluster.replica(former).status().state === 'standby');
  const { decidedIndex } = cluster.replica(former).status();
  cluster.crash(former);
  cluster.start(former);
  cluster.tick();
  expect(cluster.replica(former).status()).toMatchObject({
    state: 'standby',
    decidedIndex,
    appliedIndex: decidedIndex,
  });
});

describe('newcomers get all data before they become members', () => {
  it('while the members are what they are; then they need no state any more', () => {
    const { cluster, leader, client } = filled(140);
    cluster.start(4);
    fillUntilDone(cluster, leader, [1, 2, 4]);
    expect(cluster.replica(4).status()).toMatchObject({ state: 'standby', configurationId: 1 });
    expect(cluster.replica(4).voter).toBeUndefined();
    expect(cluster.replica(leader).status().configurationId).toBe(1);
    expect(cluster.localValue(leader, 'k7')).toBe('value 7');
    client.put(leader, 'meanwhile', 'x');
    cluster.settle();
    const chunks = cluster.sentTo(4, 'StateChunk').length;
    expect(chunks).toBeGreaterThan(10);
    cluster.reconfigureTo(leader, [1, 2, 4]);
    cluster.converge(1, 2, 4);
    expect(cluster.sentTo(4, 'StateChunk').length).toBe(chunks);
    expect(cluster.replica(4).stateHash()).toBe(cluster.replica(leader).stateHash());
    expect(cluster.localValue(4, 'meanwhile')).toBe('x');
  });

  it('a majority, even all, are replaced without a pause in which nothing can be decided', () => {
    for (const next of [
      [1, 4, 5],
      [4, 5, 6],
    ]) {
      const { cluster, leader } = filled(100);
      const newcomers = next.filter((id) => !all.includes(id));
      for (const id of newcomers) cluster.start(id);
      fillUntilDone(cluster, leader, next);
      const chunks = newcomers.map((id) => cluster.sentTo(id, 'StateChunk').length);
      const ask = cluster.reconfigure(leader, next, 60_000);
      cluster.until('it is decided', () => ask.answer !== undefined);
      expect(ask.answer).toEqual({ type: 'reconfigured', configurationId: 2 });
      cluster.timeouts(6);
      const after = cluster.elect();
      new Client(cluster, after).putAcknowledged(after, 'after', 'it');
      expect(newcomers.map((id) => cluster.sentTo(id, 'StateChunk').length)).toEqual(chunks);
      cluster.converge(...next);
    }
  });

  it.each(['log', 'state'])(
    'a former member that slept through the change of all others comes back by the %s',
    (way) => {
      const { cluster, leader, client } = filled(100);
      const former = all.find((id) => id !== leader) as NodeId;
      if (way === 'log') client.putAcknowledged(leader, 'k', 'v');
      cluster.crash(former);
      for (let nth = 0; way === 'state' && nth < 60; nth++) client.putAcknowledged(leader, `later ${nth}`, 'x');
      for (const id of [4, 5, 6]) cluster.start(id);
      fillUntilDone(cluster, leader, [4, 5, 6]);
      cluster.reconfigureTo(leader, [4, 5, 6]);
      for (const id of all) if (id !== former) cluster.crash(id);
      cluster.start(former);
      const next = cluster.elect();
      fillUntilDone(cluster, next, [4, 5, 6, former]);
      expect(cluster.replica(former).status()).toMatchObject({ state: 'standby', configurationId: 2 });
      cluster.reconfigureTo(next, [4, 5, 6, former]);
      cluster.converge(4, 5, 6, former);
    },
  );

  it('goes on after a crash of the newcomer, and with another member than it began with', () => {
    const { cluster, leader } = filled(140);
    fillPartly(cluster, leader, 20);
    cluster.crash(4);
    cluster.start(4);
    const follower = all.find((id) => id !== leader) as NodeId;
    fillUntilDone(cluster, follower, [...all, 4]);
    cluster.reconfigureTo(follower, [...all, 4]);
    cluster.converge(...all, 4);
    expect(cluster.replica(4).stateHash()).toBe(cluster.replica(leader).stateHash());
  });

  it('ends when nobody asks for it any more, and changes nothing', () => {
    const { cluster, leader } = filled(140);
    cluster.start(4);
    fillStep(cluster, leader, [...all, 4]);
    cluster.tick(3);
    fillStep(cluster, leader, [...all, 4]);
    cluster.loses = ({ to, message }) => to === 4 && message.payload.type === 'StateChunk';
    cluster.tick(400);
    cluster.loses = () => false;
    const { length } = cluster.sent.filter(
      ({ from, message }) => from === 4 && message.payload.type === 'StateRequest',
    );
    cluster.tick(100);
    expect(
      cluster.sent.filter(({ from, message }) => from === 4 && message.payload.type === 'StateRequest').length,
    ).toBe(length);
    expect(cluster.replica(4).status()).toMatchObject({ state: 'standby', configurationId: 1 });
    expect(cluster.replica(4).status().catchUp).toBeUndefined();
    cluster.reconfigureTo(leader, [...all, 4]);
    cluster.converge(...all, 4);
  });

  it('one that is taken in before it has all goes on as a member', () => {
    const { cluster, leader } = filled(140);
    fillPartly(cluster, leader, 5);
    cluster.reconfigureTo(leader, [...all, 4]);
    cluster.converge(...all, 4);
    expect(cluster.replica(4).stateHash()).toBe(cluster.replica(leader).stateHash());
  });

  it('one that is left out of the next configuration stands by in it, with what it has', () => {
    const { cluster, leader } = filled(60);
    cluster.start(4);
    cluster.start(5);
    fillUntilDone(cluster, leader, [...all, 4]);
    cluster.reconfigureTo(leader, [...all, 5]);
    cluster.until('it knows', () => {
      fillStep(cluster, leader, [...all, 4, 5]);
      return cluster.replica(4).status().configurationId === 2;
    });
    expect(cluster.replica(4).status().state).toBe('standby');
    cluster.reconfigureTo(leader, [...all, 4, 5]);
    cluster.converge(...all, 4, 5);
  });

  it('however much is decided meanwhile, one that keeps up is filled', () => {
    const cluster = new Cluster(all);
    const leader = cluster.elect();
    const client = new Client(cluster, leader);
    cluster.start(4);
    cluster.tick(20);
    // 15,000 a second, at 20 ms a tick and a step each 400 ms.
    for (let steps = 0; !isFilled(fillStep(cluster, leader, [...all, 4])); steps++) {
      expect(steps).toBeLessThan(10);
      for (let tick = 0; tick < 20; tick++) {
        for (let at = 0; at < 300; at++) client.put(leader, `k${at}`, 'v', 60_000);
        cluster.tick();
      }
    }
  });

  it('one whose address only its own link tells', () => {
    const cluster = new Cluster(all, {}, undefined, false);
    const leader = cluster.elect();
    cluster.start(4);
    cluster.tick(20);
    const nodes = [...all, 4].map((id) => ({ id }));
    cluster.until('it is filled', () => {
      const answer = cluster.askNow(leader, { type: 'fill', nodes });
      return answer?.type === 'filling' && isFilled(answer.newcomers);
    });
  });

  it('its log is trimmed, however long it takes', () => {
    const { cluster, leader, client } = filled(20, { logTailEntries: 200 });
    cluster.start(4);
    for (let step = 0; step < 50; step++) {
      fillStep(cluster, leader, [...all, 4]);
      for (let at = 0; at < 20; at++) client.put(leader, `k${at}`, 'v', 60_000);
      cluster.tick(5);
    }
    expect(cluster.replica(4).status().trimmedIndex).toBeGreaterThan(500);
  });

  it('for a change that cannot come about any more it is refused, and says who the members are', () => {
    const { cluster, leader } = filled(10);
    cluster.start(4);
    cluster.start(5);
    fillUntilDone(cluster, leader, [...all, 4]);
    cluster.reconfigureTo(leader, [...all, 4]);
    cluster.converge(...all, 4);
    const nodes = [...all, 5].map((id) => ({ id, address: `h:${id}` }));
    expect(cluster.askNow(leader, { type: 'fill', nodes, ifConfigurationId: 1 })).toEqual({
      type: 'failed',
      ...{ code: 'reconfiguring', outcome: 'notApplied' },
      message: 'another reconfiguration came first: configuration 2 has the members 1, 2, 3, 4',
    });
    expect(cluster.askNow(leader, { type: 'fill', nodes, ifConfigurationId: 2 })).toMatchObject({ type: 'filling' });
  });

  it('for the very change that somebody else has brought about nothing is left to be done', () => {
    const { cluster, leader } = filled(10);
    cluster.start(4);
    fillUntilDone(cluster, leader, [...all, 4]);
    cluster.reconfigureTo(leader, [...all, 4]);
    const nodes = [...all, 4].map((id) => ({ id, address: `node-${id}:7000` }));
    expect(cluster.askNow(leader, { type: 'fill', nodes, ifConfigurationId: 1 })).toEqual({
      type: 'filling',
      newcomers: [],
    });
    expect(cluster.askNow(leader, { type: 'reconfigure', nodes, ifConfigurationId: 1 })).toEqual({
      type: 'reconfigured',
      configurationId: 2,
    });
  });

  it('a member that does not hear it says so after a while, for the client to ask another one', () => {
    const { cluster, leader } = filled(10);
    cluster.start(4);
    const [follower] = all.filter((id) => id !== leader) as [NodeId];
    const nodes = [...all, 4].map((id) => ({ id, address: `node-${id}:7000` }));
    fillStep(cluster, leader, [...all, 4]);
    cluster.loses = ({ from, to }) => from === 4 && to === leader;
    const answers: string[] = [];
    for (let step = 0; step < 30; step++) {
      cluster.tick(10);
      answers.push(cluster.askNow(leader, { type: 'fill', nodes })?.type ?? 'none');
    }
    expect(answers.filter((type) => type === 'failed')).toHaveLength(1);
    fillUntilDone(cluster, follower, [...all, 4]);
  });

  it('one that has no link with it says so sooner: it may have one with another', () => {
    const { cluster, leader } = filled(10);
    cluster.start(4);
    cluster.cut([4], [leader]);
    const [follower] = all.filter((id) => id !== leader) as [NodeId];
    const nodes = [...all, 4].map((id) => ({ id, address: `node-${id}:7000` }));
    const answers: string[] = [];
    for (let step = 0; step < 12; step++) {
      cluster.tick(10);
      answers.push(cluster.askNow(leader, { type: 'fill', nodes })?.type ?? 'none');
    }
    expect(answers.filter((type) => type === 'failed')).toHaveLength(1);
    fillUntilDone(cluster, follower, [...all, 4]);
  });

  it('a node that cannot be reached is told as such; members are not filled', () => {
    const { cluster, leader } = filled(10);
    cluster.tick(5);
    fillStep(cluster, leader, all);
    cluster.tick(5);
    expect(fillStep(cluster, leader, [...all, 4])).toEqual([
      { id: 4, address: 'node-4:7000', isLinked: false, isFilled: false },
    ]);
    expect(fillStep(cluster, leader, all)).toEqual([]);
    const nodes = [{ id: 1 }, { id: 1 }];
    expect(cluster.askNow(leader, { type: 'fill', nodes })).toMatchObject({ type: 'failed', code: 'invalid' });
  });

  it.each(['the leader', 'the one that lacks it'])(
    'a member that was away for long is waited for where the next members need it, whoever is asked: %s',
    (asked) => {
      const { cluster, leader, client } = filled(20);
      const away = all.find((id) => id !== leader) as NodeId;
      cluster.crash(away);
      for (let at = 0; at < 120; at++) client.put(leader, `k${at}`, 'later', 60_000);
      cluster.until('it is decided', () => cluster.replica(leader).appliedIndex > 140);
      cluster.tick(20);
      cluster.loses = ({ to, message }) => to === away && message.payload.type === 'StateChunk';
      cluster.start(away);
      cluster.until('it is linked', () => cluster.replica(leader).status().connected?.includes(away) === true);
      const member = asked === 'the leader' ? leader : away;
      const nodes = [{ id: away }];
      const late = { newcomers: [{ id: away, isLinked: true, isFilled: false }] };
      for (let step = 0; step < 10; step++) {
        const isBehind = step > 0 && member === away;
        expect(cluster.askNow(member, { type: 'fill', nodes })).toMatchObject(isBehind ? { code: 'noMajority' } : late);
        cluster.tick(5);
      }
      cluster.loses = () => false;
      cluster.until('it is not behind', () => cluster.askNow(member, { type: 'fill', nodes })?.type === 'filling');
      cluster.until('it is waited for no more', () => fillStep(cluster, member, [away]).length === 0);
      expect(cluster.replica(away).status().decidedIndex).toBeGreaterThan(140);
      cluster.reconfigureTo(leader, [away]);
      for (const id of all) if (id !== away) cluster.crash(id);
      cluster.converge(away);
      expect(cluster.localValue(away, 'k119')).toBe('later');
    },
  );

  it('a member that was away for long is not waited for where a majority is there without it', () => {
    const { cluster, leader } = filled(20);
    const away = all.find((id) => id !== leader) as NodeId;
    fillStep(cluster, leader, all);
    cluster.tick(5);
    cluster.loses = ({ from }) => from === away;
    for (let step = 0; step < 30; step++) {
      cluster.tick(5);
      fillStep(cluster, leader, all);
    }
    expect(fillStep(cluster, leader, all)).toEqual([]);
    expect(fillStep(cluster, leader, [leader, away])).toMatchObject([{ id: away, isFilled: false }]);
  });

  it('not where another directory runs under the id of the one that is meant', () => {
    const { cluster, leader } = filled(20);
    cluster.start(4);
    fillUntilDone(cluster, leader, [1, 2, 3, 4]);
    const meant = (storageId: string) =>
      cluster.askNow(leader, { type: 'fill', nodes: [{ id: 1 }, { id: 4, storageId }] });
    const before = cluster.sentTo(4, 'Fill').length;
    expect(meant('0123')).toMatchObject({ newcomers: [{ id: 4, isLinked: false }] });
    expect(cluster.sentTo(4, 'Fill').length).toBe(before);
    expect(meant(cluster.replica(4).hello().storageId)).toMatchObject({ newcomers: [{ id: 4, isLinked: true }] });
    expect(cluster.sentTo(4, 'Fill').length).toBe(before + 1);
  });

  it('one that will not have it, nor be had, is told of after a while, unless it is linked by then', () => {
    const { cluster, leader } = filled(10);
    const nodes = [...all, 4].map((id) => ({ id, address: `node-${id}:7000` }));
    const step = () => {
      const refusal = {
        type: 'peerUnreached',
        nodeId: 4,
        reason: 'it is of another cluster',
        isRefusal: true,
      } as const;
      cluster.replica(leader).receive(refusal);
      cluster.tick(10);
      return cluster.askNow(leader, { type: 'fill', nodes });
    };
    const answers = Array.from({ length: 7 }, step);
    expect(answers.slice(0, 5).map((answer) => answer?.type)).not.toContain('failed');
    expect(answers.at(-1)).toEqual({
      ...{ type: 'failed', code: 'unreachable', outcome: 'notApplied' },
      message: 'node 4 cannot be a member: it is of another cluster',
    });
    const elsewhere = nodes.map((node) => (node.id === 4 ? { id: 4, address: 'elsewhere:7000' } : node));
    expect(cluster.askNow(leader, { type: 'fill', nodes: elsewhere }), 'at another address').toMatchObject({
      type: 'filling',
    });
    cluster.start(4);
    cluster.tick();
    expect(step()).toMatchObject({ type: 'filling' });
  });

  it('a node of another cluster takes nothing', () => {
    const { cluster, leader } = filled(60);
    const { cluster: theirs } = filled(5);
    cluster.start(4);
    const clusterId = theirs.log(1).identity.clusterId as string;
    const configuration = theirs.log(1).configuration;
    if (!configuration) throw new Error('no configuration');
    fillUntilDone(cluster, leader, [...all, 4]);
    const before = cluster.log(4).configuration;
    const payload = { type: 'Fill', clusterId, configuration, index: 3 } as const;
    const message = { configurationId: 1, payload };
    cluster.replica(4).receive({ type: 'peerMessages', from: leader, messages: [message] });
    cluster.tick(20);
    expect(cluster.log(4).identity.clusterId).toBe(cluster.log(leader).identity.clusterId);
    expect(cluster.log(4).configuration).toEqual(before);
  });
});

function filled(count: number, settings: Partial<ReplicaSettings> = {}) {
  const cluster = new Cluster(all, { ...manyPieces, ...settings });
  const leader = cluster.elect();
  const client = new Client(cluster, leader);
  for (let at = 0; at < count; at++) client.put(leader, `k${at}`, `value ${at}`, 60_000);
  cluster.converge(...all);
  cluster.tick(20);
  return { cluster, leader, client };
}

function fillStep(cluster: Cluster, id: NodeId, members: readonly NodeId[]): readonly NewcomerFilling[] {
  const nodes = members.map((member) => ({ id: member, address: `node-${member}:7000` }));
  const answer = cluster.askNow(id, { type: 'fill', nodes });
  if (answer?.type !== 'filling') throw new Error(`not filling: ${JSON.stringify(answer)}`);
  return answer.newcomers;
}

function isFilled(newcomers: readonly NewcomerFilling[]): boolean {
  return newcomers.every((newcomer) => newcomer.isFilled);
}

/** Starts node 4 and fills it until it was sent more than so many chunks. */
function fillPartly(cluster: Cluster, leader: NodeId, chunks: number): void {
  cluster.start(4);
  cluster.until('a part is there', () => {
    fillStep(cluster, leader, [...all, 4]);
    return cluster.sentTo(4, 'StateChunk').length > chunks;
  });
}

function fillUntilDone(cluster: Cluster, id: NodeId, members: readonly NodeId[]): void {
  cluster.until('the newcomers have all data', () => isFilled(fillStep(cluster, id, members)));
}
