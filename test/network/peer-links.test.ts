import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { WebSocketServer } from 'ws';
import { encodePeerHello, peerPath } from '../../src/wire/handshake.ts';
import { protocolVersion } from '../../src/wire/limits.ts';
import type { PeerHello } from '../../src/wire/peer-message.ts';
import { sealed } from '../wire/sealed.ts';
import { bulk, heartbeat, helloOf, promise, RawSocket, rawPeer, rawSocket, TestNode, until } from './test-node.ts';

async function linkedPair(): Promise<[TestNode, TestNode]> {
  const one = await TestNode.start(1);
  const two = await TestNode.start(2);
  one.dial(two);
  await until(() => expect([one.events, two.events]).toEqual([['+2'], ['+1']]));
  return [one, two];
}

/** Sends a heartbeat from one node to the other and waits until it is there. */
async function expectDelivery(from: TestNode, to: TestNode, round: number): Promise<void> {
  expect(from.links.send(to.id, [heartbeat(round)])).toBe(true);
  await until(() => expect(to.rounds(from.id)).toContain(round));
}

/** A listener that closes each connection at once and counts them: an address that is dialled over and over. */
async function closingListener(): Promise<{ address: string; connections: number }> {
  const counted = { address: '', connections: 0 };
  const server = createServer((tcp) => {
    counted.connections++;
    tcp.on('error', () => {});
    tcp.destroy();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.close();
  });
  counted.address = `127.0.0.1:${(server.address() as { port: number }).port}`;
  return counted;
}

/** As `until`, where the clock is a fake one. */
async function eventually(check: () => boolean): Promise<void> {
  while (!check()) await new Promise(setImmediate);
}

/** A listener that plays node `id` and gives out each connection that reaches it. */
async function rawListener(id: number): Promise<{ address: string; sockets: RawSocket[] }> {
  const sockets: RawSocket[] = [];
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0 });
  onTestFinished(() => {
    server.close();
  });
  server.on('connection', (socket) => {
    sockets.push(new RawSocket(socket));
    socket.send(encodePeerHello(helloOf(id)));
  });
  await new Promise((resolve) => server.once('listening', resolve));
  return { address: `127.0.0.1:${(server.address() as { port: number }).port}`, sockets };
}

describe('a link', () => {
  it('comes up with one side dialling, and carries messages both ways', async () => {
    const [one, two] = await linkedPair();
    await expectDelivery(one, two, 1);
    await expectDelivery(two, one, 2);
    expect([one.links.connected, two.links.connected]).toEqual([[2], [1]]);
  });

  it('keeps the order, and hands over each frame in one call', async () => {
    const [one, two] = await linkedPair();
    const sizes = Array.from({ length: 200 }, (_, at) => (at % 7) + 1);
    let round = 0;
    for (const size of sizes)
      one.links.send(
        2,
        Array.from({ length: size }, () => heartbeat(round++)),
      );
    await until(() => expect(two.batches).toHaveLength(sizes.length));
    expect(two.batches.map(({ messages }) => messages.length)).toEqual(sizes);
    expect(two.rounds(1)).toEqual([...Array(round).keys()]);
  });

  it('carries a frame of many megabytes', async () => {
    const [one, two] = await linkedPair();
    one.links.send(2, [bulk(20 * 1024 * 1024), heartbeat(5)]);
    await until(() => expect(two.rounds(1)).toEqual([5]));
  });

  it('comes up again after the other process is gone and back', async () => {
    const [one, two] = await linkedPair();
    await two.stop();
    await until(() => expect(one.events).toEqual(['+2', '-2']));
    expect(one.links.send(2, [heartbeat(1)])).toBe(false);
    const again = await TestNode.start(2, { port: two.port });
    await until(() => expect(one.events).toEqual(['+2', '-2', '+2']));
    await expectDelivery(one, again, 2);
  });

  it('is tried until the other node is there', async () => {
    const two = await TestNode.start(2);
    await two.stop();
    const one = await TestNode.start(1);
    one.dial(two);
    await until(() => expect(one.logged.map(({ message }) => message)).toEqual(['peer not reached, trying again']));
    expect(String(one.logged[0]?.reason)).toContain('ECONNREFUSED');
    await TestNode.start(2, { port: two.port });
    await until(() => expect(one.events).toEqual(['+2']));
  });

  it('to an address that is dialled no more is not tried again', async () => {
    const listener = await rawListener(2);
    const one = await TestNode.start(1, { limits: { redialMinMs: 1, redialMaxMs: 2 } });
    one.links.dial(2, listener.address);
    await until(() => expect(one.events).toEqual(['+2']));
    one.links.undial(2);
    listener.sockets[0]?.socket.close();
    await until(() => expect(one.events).toEqual(['+2', '-2']));
    // Another target, dialled later, comes up: there was time to dial the first again.
    const three = await TestNode.start(3);
    one.dial(three);
    await until(() => expect(one.events).toEqual(['+2', '-2', '+3']));
    expect(listener.sockets).toHaveLength(1);
  });

  it('ends the attempts, even the one that waits its turn; so does undial', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    onTestFinished(() => {
      vi.useRealTimers();
    });
    const one = await TestNode.start(1, { limits: { movedMsMin: 0 } });
    const [reached, forgotten, later] = [await closingListener(), await closingListener(), await closingListener()];
    one.links.dial(2, reached.address);
    one.links.dial(3, forgotten.address);
    // Both attempts have failed, and the next ones wait for the clock, which stands still.
    await eventually(() => one.logged.length === 2);
    one.links.undial(3);
    const two = await rawSocket(one.address, peerPath);
    two.socket.send(encodePeerHello(helloOf(2)));
    await eventually(() => one.events.length === 1);
    vi.advanceTimersByTime(60_000);
    // Dialled after those that must not be dialled.
    one.links.dial(4, later.address);
    await eventually(() => later.connections === 1);
    expect([reached.connections, forgotten.connections]).toEqual([1, 1]);
    expect(one.events).toEqual(['+2']);
  });

  it.each(['', 'host:port', '127.0.0.1:7001/x', 'a b:1', '127.0.0.1:99999'])(
    'is not dialled at %j',
    async (address) => {
      const one = await TestNode.start(1);
      expect(() => one.links.dial(2, address)).toThrow(RangeError);
    },
  );

  it('to oneself is not dialled', async () => {
    const one = await TestNode.start(1);
    expect(() => one.links.dial(1, one.address)).toThrow(RangeError);
  });

  it('reports nothing after close', async () => {
    const [one, two] = await linkedPair();
    one.links.close();
    await until(() => expect(two.events).toEqual(['+1', '-1']));
    expect(one.events).toEqual(['+2']);
    expect(one.links.send(2, [heartbeat(1)])).toBe(false);
  });
});

describe('two links to one node', () => {
  it('become one, the one that the lower id dialled, when both dial at once', async () => {
    for (let attempt = 0; attempt < 20; attempt++) {
      const low = await TestNode.start(3);
      const high = await TestNode.start(8);
      const [first, second] = attempt % 2 === 0 ? [low, high] : [high, low];
      first.dial(second);
      second.dial(first);
      await until(() => {
        expect([low.accepted.size, high.accepted.size]).toEqual([0, 1]);
        expect([low.links.connected, high.links.connected]).toEqual([[8], [3]]);
      });
      await expectDelivery(low, high, attempt);
      await expectDelivery(high, low, attempt);
      // Connected and disconnected take turns.
      for (const { events } of [low, high]) {
        expect(events.map((event) => event[0])).toEqual(events.map((_, at) => (at % 2 === 0 ? '+' : '-')));
      }
      await Promise.all([low.stop(), high.stop()]);
    }
  });

  it('give way to the newer one if the same node dialled both', async () => {
    const two = await TestNode.start(2);
    const older = await rawPeer(two, helloOf(1));
    await until(() => expect(two.events).toEqual(['+1']));
    const newer = await rawPeer(two, helloOf(1));
    await until(() => expect(two.events).toEqual(['+1', '-1', '+1']));
    await until(() => expect(older.closed?.code).toBe(4002));
    newer.sendMessages([heartbeat(4)]);
    await until(() => expect(two.rounds(1)).toEqual([4]));
  });

  it('leave the one that the lower id dialled alone', async () => {
    const one = await TestNode.start(1);
    const listener = await rawListener(2);
    one.links.dial(2, listener.address);
    await until(() => expect(one.events).toEqual(['+2']));
    const second = await rawPeer(one, helloOf(2));
    await until(() => expect(second.closed).toEqual({ code: 4002, reason: 'another link is up' }));
    expect(one.events).toEqual(['+2']);
    listener.sockets[0]?.sendMessages([heartbeat(6)]);
    await until(() => expect(one.rounds(2)).toEqual([6]));
  });

  it('are fine to different nodes', async () => {
    const nodes = await Promise.all([1, 2, 3, 4].map((id) => TestNode.start(id)));
    for (const from of nodes) for (const to of nodes) if (from !== to) from.dial(to);
    await until(() => {
      for (const node of nodes) expect(node.links.connected.length).toBe(3);
      expect(nodes.map(({ accepted }) => accepted.size)).toEqual([0, 1, 2, 3]);
    });
  });
});

describe('a node that is there twice', () => {
  const original = helloOf(2);
  const copy = helloOf(2, { opened: { ...original.opened, incarnation: 1, nonce: 'fedcba9876543210' } });

  it('is the one that is heard; the other comes in once that one is silent', async () => {
    const one = await TestNode.start(1, { limits: { aliveMsMax: 200 } });
    const first = await rawPeer(one, original);
    await until(() => expect(one.events).toEqual(['+2']));
    const second = await rawPeer(one, copy);
    await until(() => expect(second.closed?.code).toBe(4001));
    expect(second.closed?.reason).toContain('node 2 runs at 127.0.0.1:1 already: are there two copies');
    const emptied = await rawPeer(one, { ...copy, storageId: 'b0b0b0b0b0b0b0b0' });
    await until(() => expect(emptied.closed?.code).toBe(4001));
    expect(emptied.closed?.reason).toContain('already, with another data directory than this one');
    expect(first.closed).toBeUndefined();
    await new Promise((resolve) => setTimeout(resolve, 250));
    await rawPeer(one, copy);
    await until(() => expect(one.events).toEqual(['+2', '-2', '+2']));
    await until(() => expect(first.closed?.code).toBe(4002));
  });

  it('is looked for at its known address, before one at another address is taken for it', async () => {
    const one = await TestNode.start(1, { limits: { movedMsMin: 300, redialMinMs: 10, redialMaxMs: 20 } });
    const known = await closingListener();
    one.links.dial(2, known.address);
    const early = await rawPeer(one, original);
    await until(() => expect(early.closed?.code).toBe(4001));
    expect(early.closed?.reason).toContain(`node 2 is known at ${known.address}, not 127.0.0.1:1`);
    await new Promise((resolve) => setTimeout(resolve, 350));
    const late = await rawPeer(one, original);
    await until(() => expect(one.events).toEqual(['+2']));
    // What was linked once is the same one again, if it comes back at once.
    late.socket.close();
    await until(() => expect(one.events).toEqual(['+2', '-2']));
    await rawPeer(one, original);
    await until(() => expect(one.events).toEqual(['+2', '-2', '+2']));
  });
});

it('an attempt that fails while another link to that node is up lets in no copy of it later', async () => {
  const one = await TestNode.start(1, { limits: { movedMsMin: 200, handshakeTimeoutMs: 50 } });
  // Its host takes connections and says nothing, while the node itself dials.
  const mute = createServer((tcp) => tcp.on('error', () => {}));
  onTestFinished(() => {
    mute.close();
  });
  await new Promise<void>((resolve) => mute.listen(0, '127.0.0.1', resolve));
  const address = `127.0.0.1:${(mute.address() as { port: number }).port}`;
  one.links.dial(2, address);
  const original = await rawPeer(one, helloOf(2, { address }));
  await until(() => expect(one.logged.map(({ message }) => message)).toContain('second peer connection closed'));
  await new Promise((resolve) => setTimeout(resolve, 250));
  original.socket.terminate();
  await until(() => expect(one.events).toEqual(['+2', '-2']));
  const { opened } = helloOf(2);
  const copy = await rawPeer(one, helloOf(2, { opened: { ...opened, incarnation: 1, nonce: 'fedcba9876543210' } }));
  await until(() => expect(copy.closed?.code).toBe(4001));
});

it('nodes that all say other addresses than those at which they are dialled are linked as soon as they have met', async () => {
  const [one, two] = [await TestNode.start(1), await TestNode.start(2)];
  for (const node of [one, two]) node.hello = { ...node.hello, address: `node-${node.id}:7001` };
  one.dial(two);
  two.dial(one);
  await until(() => expect([one.links.connected, two.links.connected]).toEqual([[2], [1]]));
});

describe('a handshake', () => {
  it('that stays silent is ended', async () => {
    const two = await TestNode.start(2, { limits: { handshakeTimeoutMs: 50 } });
    const silent = await rawSocket(two.address, peerPath);
    await until(() => expect(silent.closed).toBeDefined());
    expect(two.logged.map(({ reason }) => reason)).toEqual(['no hello within 50 ms']);
  });

  it('is tried anew where the one dialled never answers', async () => {
    let connections = 0;
    const mute = createServer((tcp) => {
      connections++;
      tcp.on('error', () => {});
      onTestFinished(() => {
        tcp.destroy();
      });
    });
    await new Promise<void>((resolve) => mute.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => {
      mute.close();
    });
    const one = await TestNode.start(1, { limits: { handshakeTimeoutMs: 30, redialMinMs: 1, redialMaxMs: 5 } });
    one.links.dial(2, `127.0.0.1:${(mute.address() as { port: number }).port}`);
    await until(() => expect(connections).toBeGreaterThanOrEqual(3));
    expect(one.events).toEqual([]);
  });

  it('does not come without limit', async () => {
    const two = await TestNode.start(2, { limits: { strangersMax: 2 } });
    const strangers = [await rawSocket(two.address, peerPath), await rawSocket(two.address, peerPath)];
    const third = await rawSocket(two.address, peerPath);
    await until(() => expect(third.closed).toBeDefined());
    expect(strangers.map(({ closed }) => closed)).toEqual([undefined, undefined]);
  });

  it.each([
    ['of another cluster name', { clusterName: 'other' }, 'node 1 is of cluster "other", node 2 of "test"'],
    ['that cannot be dialled', { address: 'nowhere' }, 'node 1 says that it is at "nowhere", which is no host:port'],
    [
      'of another cluster id',
      { clusterId: 'ffffffffffffffff' },
      'the nodes belong to different clusters, ffffffffffffffff and 00112233445566ff',
    ],
    ['of the same node id', { nodeId: 2 }, 'both ends say that they are node 2'],
    [
      'of another protocol version',
      { protocolVersion: protocolVersion + 1 },
      `malformed: the other side speaks protocol version ${protocolVersion + 1}, this one ${protocolVersion}: run the same release of kv on both`,
    ],
  ])('%s is refused', async (_, changes, reason) => {
    const two = await TestNode.start(2);
    const stranger = await rawPeer(two, { ...helloOf(1), ...changes });
    await until(() => expect(stranger.closed?.reason).toBe(reason));
    expect(two.events).toEqual([]);
    expect(two.logged.map((line) => line.reason)).toEqual([reason]);
  });

  it.each<[string, Partial<PeerHello>, RegExp]>([
    ['is of another cluster', { clusterId: 'ffffffffffffffff' }, /different clusters, ffffffffffffffff and/],
    ['is of another cluster name', { clusterName: 'other' }, /cluster "other"/],
    ['is another node', { nodeId: 5 }, /node 2 was expected at this address, node 5 is there/],
    [
      'speaks another version',
      { protocolVersion: protocolVersion + 1 },
      new RegExp(`speaks protocol version ${protocolVersion + 1}, this one ${protocolVersion}`),
    ],
  ])('with a node that is dialled and %s is told to the owner as a refusal', async (_, hello, reason) => {
    const [one, two] = [await TestNode.start(1), await TestNode.start(2, { hello })];
    one.dial(two);
    await until(() => expect(one.unreached[0]).toMatchObject({ nodeId: 2, isRefusal: true }));
    expect(one.unreached[0]?.reason).toMatch(reason);
    expect(one.events).toEqual([]);
  });

  it('with nobody is told to the owner as no refusal, and one that is up not at all', async () => {
    const [one, two] = [await TestNode.start(1), await TestNode.start(2)];
    await two.stop();
    one.dial(two);
    await until(() => expect(one.unreached[0]).toMatchObject({ nodeId: 2, isRefusal: false }));
    expect(one.unreached[0]?.reason).toMatch(/ECONNREFUSED/);
    const [three, four] = [await TestNode.start(3), await TestNode.start(4)];
    three.dial(four);
    four.dial(three);
    await until(() => {
      four.links.send(3, [heartbeat(1)]);
      expect(three.rounds(4)).toContain(1);
    });
    expect([three.unreached, four.unreached]).toEqual([[], []]);
  });

  it('of a node that belongs to no cluster yet is welcome', async () => {
    const two = await TestNode.start(2);
    const newcomer = await rawPeer(two, helloOf(4, { clusterId: undefined }));
    await until(() => expect(two.events).toEqual(['+4']));
    newcomer.socket.send(sealed(Uint8Array.of(protocolVersion, 0, 0, 0, 0, ...new Uint8Array(8), 1, 1, 9, 0)));
    await until(() => expect(two.rounds(4)).toEqual([9]));
  });

  it('with another node than the one dialled is refused', async () => {
    const three = await TestNode.start(3);
    const one = await TestNode.start(1);
    one.links.dial(2, three.address);
    await until(() => expect(one.logged[0]?.reason).toContain('node 2 was expected at this address, node 3 is there'));
    expect(one.events).toEqual([]);
  });

  it('that is meant for a node whose address another has now leaves the one with that other as it is', async () => {
    const [one, four] = [await TestNode.start(1), await TestNode.start(4)];
    one.dial(four);
    await until(() => expect(one.events).toEqual(['+4']));
    await until(() => expect(four.events).toEqual(['+1']));
    // As a member that was replaced, whom the cluster file still names.
    one.links.dial(3, four.address);
    await until(() => expect(one.unreached.length).toBeGreaterThan(2));
    expect(one.unreached[0]).toMatchObject({ nodeId: 3, isRefusal: true });
    expect(one.unreached[0]?.reason).toContain('node 3 was expected at this address, node 4 is there');
    expect([one.events, four.events]).toEqual([['+4'], ['+1']]);
  });

  it('is not believed that a directory is an older copy, before it has said that it is of this cluster', async () => {
    const one = await TestNode.start(1);
    const told = await rawPeer(one, helloOf(99, { clusterId: undefined }));
    told.socket.close(4003, 'hi');
    await until(() => expect(one.events).toEqual(['+99', '-99']));
    const damaged = await rawPeer(one, helloOf(3));
    // As a code of refusal that came damaged.
    damaged.socket.close(4003, 'another link is up');
    await until(() => expect(one.events).toContain('-3'));
    const member = await rawPeer(one, helloOf(2));
    member.socket.close(4003, 'older copy: of before');
    await until(() => expect(one.toldOlderCopy).toEqual(['2: of before']));
  });

  it('that says no hello gets rid of little, and of nothing at all over the limit of such links', async () => {
    const one = await TestNode.start(1, { limits: { strangersMax: 1 } });
    const silent = await rawSocket(one.address, peerPath);
    // Along with the request comes what is no frame.
    const upgrade = [`GET ${peerPath} HTTP/1.1`, 'Host: x', 'Upgrade: websocket', 'Connection: Upgrade'];
    const key = ['Sec-WebSocket-Version: 13', 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==', '', ''];
    const tcp = connect(one.port, '127.0.0.1');
    tcp.on('error', () => {});
    tcp.resume();
    tcp.write(Buffer.concat([Buffer.from([...upgrade, ...key].join('\r\n')), Buffer.alloc(10, 0xff)]));
    await once(tcp, 'close');
    expect(one.logged.map(({ reason }) => reason)).toContain('too many at once');
    silent.socket.send(Buffer.alloc(1_000_000), { binary: false });
    await until(() => expect(silent.closed).toBeDefined());
    expect(one.logged.map(({ reason }) => reason)).toContain('over 131072 bytes, and no hello');
    await rawPeer(one, helloOf(2));
  });

  it('with a node that is not dialled is refused over the limit of those, and with one that is never', async () => {
    const two = await TestNode.start(2, { limits: { undialledMax: 2 } });
    two.links.dial(5, '127.0.0.1:1');
    for (const id of [3, 4]) await rawPeer(two, helloOf(id));
    const oneTooMany = await rawPeer(two, helloOf(6));
    await until(() => expect(oneTooMany.closed?.reason).toBe('2 nodes are linked that are no members'));
    await rawPeer(two, helloOf(5));
    // A newer link of one that has one takes its place.
    await rawPeer(two, helloOf(4));
    await until(() => expect(two.events).toEqual(['+3', '+4', '+5', '-4', '+4']));
  });

  it('whose directory is an older copy is told so, and the one that says it is not', async () => {
    const one = await TestNode.start(1, { olderCopies: [2] });
    const two = await TestNode.start(2);
    two.dial(one);
    await until(() => expect(two.toldOlderCopy).toContain('1: an older copy'));
    await until(() => expect(one.accepted.size).toBe(0));
    expect(one.toldOlderCopy).toEqual([]);
  });

  it('can be refused by the owner, and is tried again until it is not', async () => {
    let refusals = 0;
    const refusal = () => (refusals++ < 3 ? 'your disk was wiped' : undefined);
    const two = await TestNode.start(2, { refusal });
    const one = await TestNode.start(1, { limits: { redialMinMs: 1, redialMaxMs: 5 } });
    one.dial(two);
    await until(() => expect(refusals).toBe(4));
    expect(two.events).toEqual(['+1', '+1', '+1', '+1']);
    await expectDelivery(two, one, 1);
    expect(one.logged.filter(({ level }) => level !== 'debug').map(({ reason }) => reason)).toContain(
      'the other node says: your disk was wiped',
    );
  });

  it('can be taken back by the owner later', async () => {
    const [one, two] = await linkedPair();
    const stale = two.handles.get(1);
    stale?.refuse('removed');
    expect(two.links.connected).toEqual([]);
    await until(() =>
      expect([one.events, two.events]).toEqual([
        ['+2', '-2', '+2'],
        ['+1', '+1'],
      ]),
    );
    // The handle of a link that is gone leaves the next one alone.
    stale?.refuse('removed');
    await expectDelivery(two, one, 1);
    await expectDelivery(one, two, 2);
  });
});

describe('trouble on one link', () => {
  it.each([
    ['a malformed frame', Uint8Array.of(1, 2, 3), /^malformed/],
    ['a frame of another protocol version', Uint8Array.of(7, 0, 0, 0, 0, 0, 0, 0, 0), /protocol version 7/],
    [
      'a frame of another cluster',
      sealed(Uint8Array.of(protocolVersion, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1)),
      /different clusters/,
    ],
    [
      'a damaged frame',
      Uint8Array.of(protocolVersion, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1),
      /a frame was damaged on its way/,
    ],
    ['a second hello', encodePeerHello(helloOf(3)), /second hello/],
    ['an oversized frame', new Uint8Array(100_001), /Max payload size exceeded/],
  ])('(%s) ends that link and no other', async (_, frame, reason) => {
    const two = await TestNode.start(2, { gatewayLimits: { peerFrameBytesMax: 100_000 } });
    const one = await TestNode.start(1);
    one.dial(two);
    const bad = await rawPeer(two, helloOf(3));
    await until(() => expect(two.events.toSorted()).toEqual(['+1', '+3']));
    bad.socket.send(frame);
    await until(() => expect(two.events).toContain('-3'));
    await until(() => expect(bad.closed).toBeDefined());
    await expectDelivery(one, two, 1);
    expect(two.events).not.toContain('-1');
    expect(two.logged.filter(({ message }) => message === 'peer disconnected').map((line) => line.reason)).toEqual([
      expect.stringMatching(reason),
    ]);
  });

  it('(a frame before the hello) ends it', async () => {
    const two = await TestNode.start(2);
    const bad = await rawSocket(two.address, peerPath);
    bad.sendMessages([heartbeat(1)]);
    await until(() => expect(bad.closed?.reason).toBe('malformed: a frame before the hello'));
  });

  it('(a peer that does not read) ends it once too much waits', async () => {
    const two = await TestNode.start(2, { limits: { bufferedBytesMax: 1024 * 1024 } });
    const slow = await rawPeer(two, helloOf(1));
    await until(() => expect(two.events).toEqual(['+1']));
    slow.socket.pause();
    let sent = 0;
    while (two.links.send(1, [bulk(256 * 1024)])) {
      sent++;
      expect(sent).toBeLessThan(1000);
      await new Promise(setImmediate);
    }
    expect(two.events).toEqual(['+1', '-1']);
    expect(two.links.send(1, [heartbeat(1)])).toBe(false);
    expect(two.logged.at(-1)?.reason).toMatch(/bytes wait to be sent, at most 1048576 are allowed/);
  });

  it('is not made of promises that are asked for again while one is under way', async () => {
    const two = await TestNode.start(2);
    const slow = await rawPeer(two, helloOf(1));
    await until(() => expect(two.events).toEqual(['+1']));
    slow.socket.pause();
    // More than the system takes by itself.
    two.links.send(1, [bulk(8 * 1024 * 1024)]);
    const promised = (n: number) => promise({ n, priority: 0, pid: 1 }, 4 * 1024 * 1024);
    for (let asked = 0; asked < 20; asked++) {
      expect(two.links.send(1, [promised(1), heartbeat(asked), promised(1)])).toBe(true);
      await delay(1);
    }
    // Others are not that one: of another ballot, of another configuration, or an answer to one who lacks less.
    const [ballot, bytes] = [{ n: 2, priority: 0, pid: 1 }, 1024];
    two.links.send(1, [promised(2), promise(ballot, bytes, 0, 2), promise(ballot, bytes, 9, 2), heartbeat(20)]);
    slow.socket.resume();
    const rounds = () =>
      slow.messages.flatMap(({ payload }) => (payload.type === 'HeartbeatRequest' ? [payload.round] : []));
    const promises = () =>
      slow.messages.flatMap(({ payload }) => (payload.type === 'Promise' ? [payload.ballot.n] : []));
    await until(() => expect(rounds()).toEqual([...Array(21).keys()]));
    expect(promises()).toEqual([1, 2, 2, 2]);
    // It has left, and is asked for after a while: it may be lost otherwise.
    await until(() => {
      two.links.send(1, [promised(2)]);
      expect(promises().length).toBeGreaterThan(4);
    });
  });

  it('(a message over the limits of a frame) ends it with a line in the log', async () => {
    const two = await TestNode.start(2, { limits: { frameBytesMax: 10_000 } });
    await rawPeer(two, helloOf(1));
    await until(() => expect(two.events).toEqual(['+1']));
    expect(two.links.send(1, [bulk(10_000)])).toBe(false);
    expect(two.events).toEqual(['+1', '-1']);
    expect(two.logged.some(({ level }) => level === 'error')).toBe(true);
  });

  it('(a peer gone without a word) is noticed', async () => {
    const two = await TestNode.start(2, { limits: { pingIntervalMs: 10, silenceMsMax: 50 } });
    await rawPeer(two, helloOf(1), false);
    await until(() => expect(two.events).toEqual(['+1', '-1']));
    // Once, on a busy machine, another line had come behind it.
    await until(() => expect(two.logged.map(({ reason }) => reason)).toContain('silent for too long'));
  });

  it('(a frame that never ends) is noticed, though bytes come, and a large one that takes its time is not', async () => {
    const two = await TestNode.start(2, { limits: { pingIntervalMs: 10, silenceMsMax: 50 } });
    // What is behind a length that came damaged is taken for the rest of that frame.
    const beginFrame = (length: number) => {
      const head = Buffer.from([0x82, 0xff, ...new Array(12).fill(0)]);
      head.writeBigUInt64BE(BigInt(length), 2);
      return head;
    };
    for (const [id, bytes] of [
      [1, 100],
      [3, 40_000],
    ] as const) {
      const { socket } = await rawPeer(two, helloOf(id));
      await until(() => expect(two.events).toContain(`+${id}`));
      const tcp = (socket as unknown as { readonly _socket: Socket })._socket;
      tcp.write(beginFrame(32 * 1024 * 1024));
      const timer = setInterval(() => tcp.write(Buffer.alloc(bytes)), 5);
      onTestFinished(() => clearInterval(timer));
    }
    await until(() => expect(two.events).toContain('-1'));
    await delay(300);
    expect(two.events).not.toContain('-3');
    expect(two.logged.map(({ reason }) => reason)).toContain('silent for too long');
  });

  it('is not seen in a peer whose messages come, though its pongs do not', async () => {
    const two = await TestNode.start(2, { limits: { pingIntervalMs: 10, silenceMsMax: 50 } });
    const busy = await rawPeer(two, helloOf(1), false);
    await until(() => expect(two.events).toEqual(['+1']));
    for (let round = 1; round <= 40; round++) {
      busy.sendMessages([heartbeat(round)]);
      await delay(10);
    }
    expect(two.rounds(1)).toContain(39);
    expect(two.events).toEqual(['+1']);
  });

  it('is not seen in a peer that is idle', async () => {
    const two = await TestNode.start(2, { limits: { pingIntervalMs: 10, silenceMsMax: 200 } });
    const idle = await rawPeer(two, helloOf(1));
    await until(() => expect(idle.pings).toBeGreaterThan(60));
    expect(two.events).toEqual(['+1']);
  });
});
