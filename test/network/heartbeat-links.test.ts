import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { type WebSocket, WebSocketServer } from 'ws';
import { encodePeerHello, heartbeatPath, peerPath } from '../../src/wire/handshake.ts';
import { heartbeatFrameBytesMax } from '../../src/wire/limits.ts';
import { bulk, heartbeat, helloOf, RawSocket, rawPeer, rawSocket, TestNode, until } from './test-node.ts';

/** Nodes 1 and 2, of which the first has dialled the second, with a connection for heartbeats. */
async function pair(limits = {}): Promise<{ one: TestNode; two: TestNode; link: WebSocket; heartbeats: WebSocket }> {
  const [one, two] = [await TestNode.start(1, { limits }), await TestNode.start(2, { limits })];
  one.dial(two);
  await until(() => expect([one.events, two.events]).toEqual([['+2'], ['+1']]));
  const [link] = [...two.accepted] as [WebSocket];
  await sendUntilApart(one, two);
  const [, heartbeats] = [...two.accepted] as [WebSocket, WebSocket];
  return { one, two, link, heartbeats };
}

/** Whoever dialled the link opens the connection with a heartbeat that it has to send. */
async function sendUntilApart(one: TestNode, two: TestNode): Promise<void> {
  await until(() => {
    one.links.send(2, [heartbeat(0)]);
    expect(two.accepted.size).toBe(2);
    expect(one.logged.at(-1)?.message).toBe('heartbeats have a connection of their own');
    expect(two.logged.at(-1)?.message).toBe('heartbeats have a connection of their own');
  });
}

async function expectBothWays(one: TestNode, two: TestNode, round: number): Promise<void> {
  expect(one.links.send(2, [heartbeat(round)])).toBe(true);
  expect(two.links.send(1, [heartbeat(round)])).toBe(true);
  await until(() => expect([one.rounds(2).at(-1), two.rounds(1).at(-1)]).toEqual([round, round]));
}

/** A connection for heartbeats to `node` that has said `hello`. */
async function rawHeartbeats(node: TestNode, hello = helloOf(1), path: string = heartbeatPath): Promise<RawSocket> {
  const raw = await rawSocket(node.address, path);
  raw.socket.send(encodePeerHello(hello));
  return raw;
}

describe('heartbeats', () => {
  it('do not wait behind what is on the link', async () => {
    const { one, two, link } = await pair();
    link.pause();
    one.links.send(2, [bulk(20 * 1024 * 1024), heartbeat(7)]);
    await expectBothWays(one, two, 8);
    expect(two.rounds(1).slice(-2)).toEqual([7, 8]);
    const isBulk = () => two.batches.some(({ messages }) => messages[0]?.payload.type === 'ForwardProposals');
    expect(isBulk()).toBe(false);
    link.resume();
    await until(() => expect(isBulk()).toBe(true));
    expect([one.events, two.events]).toEqual([['+2'], ['+1']]);
  });

  it('take the link while there is no other connection, and another one as soon as there is', async () => {
    const { one, two, heartbeats } = await pair({ heartbeatDeadPauseMs: 50 });
    heartbeats.terminate();
    await until(() => expect(one.logged.at(-1)?.message).toBe('heartbeats take the link'));
    expect(two.links.send(1, [heartbeat(3)])).toBe(true);
    await until(() => expect(one.rounds(2)).toContain(3));
    one.links.send(2, [heartbeat(0)]);
    expect(two.accepted.size, 'not at once').toBe(1);
    await sendUntilApart(one, two);
    await expectBothWays(one, two, 4);
    expect([one.events, two.events], 'the link stands').toEqual([['+2'], ['+1']]);
  });

  it('take both where nothing has come on their connection for a while', async () => {
    const two = await TestNode.start(2);
    const link = await rawPeer(two, helloOf(1));
    const heartbeats = await rawHeartbeats(two);
    await until(() => expect(two.logged.at(-1)?.message).toBe('heartbeats have a connection of their own'));
    heartbeats.sendMessages([heartbeat(0)]);
    await until(() => expect(two.rounds(1)).toEqual([0]));
    two.links.send(1, [heartbeat(1)]);
    await until(() => expect(heartbeats.messages).toEqual([heartbeat(1)]));
    await new Promise((resolve) => setTimeout(resolve, 200));
    two.links.send(1, [heartbeat(2)]);
    await until(() => expect([link.messages, heartbeats.messages.slice(1)]).toEqual([[heartbeat(2)], [heartbeat(2)]]));
    heartbeats.sendMessages([heartbeat(3)]);
    await until(() => expect(two.rounds(1)).toContain(3));
    await new Promise((resolve) => setTimeout(resolve, 200));
    two.links.send(1, [heartbeat(4)]);
    await until(() => expect(heartbeats.messages.at(-1)).toEqual(heartbeat(4)));
    expect(link.messages, 'seldom, and all of them answered').toEqual([heartbeat(2)]);
  });

  it('go over the link where the other node is of a release that has no such connection', async () => {
    const upgrades = new WebSocketServer({ noServer: true });
    const asked: string[] = [];
    const server: Server = createServer((_, response) => response.writeHead(404).end());
    const links: RawSocket[] = [];
    server.on('upgrade', (request, tcp, head) => {
      const [path = ''] = (request.url ?? '').split('?');
      asked.push(path);
      if (path !== peerPath) tcp.end('HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\n');
      else {
        upgrades.handleUpgrade(request, tcp, head, (socket) => {
          links.push(new RawSocket(socket));
          socket.send(encodePeerHello(helloOf(2)));
        });
      }
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    onTestFinished(() => {
      server.close();
    });
    const one = await TestNode.start(1, { limits: { redialMinMs: 20, heartbeatRedialMaxMs: 10_000 } });
    one.links.dial(2, `127.0.0.1:${(server.address() as AddressInfo).port}`);
    await until(() => expect(one.events).toEqual(['+2']));
    let round = 0;
    await until(() => {
      for (let more = 0; more < 50; more++) one.links.send(2, [heartbeat(++round)]);
      expect(asked.filter((path) => path === heartbeatPath).length).toBeGreaterThan(2);
    });
    await until(() => expect(links[0]?.messages).toHaveLength(round));
    // 20 ms, 40, 80 and so on: not with each heartbeat.
    expect(asked.length).toBeLessThan(round / 10);
    expect(one.events).toEqual(['+2']);
  });

  it('show that a node is alive whose link is idle', async () => {
    const two = await TestNode.start(2, { limits: { aliveMsMax: 300 } });
    await rawPeer(two, helloOf(1));
    const heartbeats = await rawHeartbeats(two);
    const { opened } = helloOf(1);
    const copy = helloOf(1, { opened: { ...opened, incarnation: 1, nonce: 'fedcba9876543210' } });
    for (let round = 0; round < 10; round++) {
      await new Promise((resolve) => setTimeout(resolve, 50));
      heartbeats.sendMessages([heartbeat(round)]);
    }
    await until(() => expect(two.rounds(1)).toContain(9));
    const second = await rawPeer(two, copy);
    await until(() => expect(second.closed?.code).toBe(4001));
    expect(two.events).toEqual(['+1']);
  });
});

describe('a connection for heartbeats', () => {
  it('ends with its link', async () => {
    const { one, two, link, heartbeats } = await pair({ redialMinMs: 60_000, redialMaxMs: 60_000 });
    link.terminate();
    await until(() => expect(two.accepted.size).toBe(0));
    expect(heartbeats.readyState).toBe(heartbeats.CLOSED);
    expect([one.events, two.events]).toEqual([
      ['+2', '-2'],
      ['+1', '-1'],
    ]);
    expect(one.links.send(2, [heartbeat(1)])).toBe(false);
  });

  it('ends with a link that is refused', async () => {
    const { two } = await pair({ redialMinMs: 60_000, redialMaxMs: 60_000 });
    two.handles.get(1)?.refuse('not any more');
    await until(() => expect(two.accepted.size).toBe(0));
  });

  it.each([
    ['of a node that has no link', helloOf(3)],
    ['of another process than the linked one', helloOf(1, { storageId: 'b0b0b0b0b0b0b0b0' })],
  ])('%s is refused', async (_, hello) => {
    const two = await TestNode.start(2);
    const link = await rawPeer(two, helloOf(1));
    const heartbeats = await rawHeartbeats(two, hello);
    await until(() => expect(heartbeats.closed?.code).toBe(4001));
    expect(heartbeats.closed?.reason).toBe('there is no link beside which it could stand');
    expect(link.closed).toBeUndefined();
  });

  it('that means another node is refused', async () => {
    const two = await TestNode.start(2);
    await rawPeer(two, helloOf(1));
    const heartbeats = await rawHeartbeats(two, helloOf(1), `${heartbeatPath}?node=3`);
    await until(() => expect(heartbeats.closed?.code).toBe(4001));
  });

  it('is not taken from the end that was dialled', async () => {
    const { one, two } = await pair();
    const heartbeats = await rawHeartbeats(one, two.hello);
    await until(() => expect(heartbeats.closed?.code).toBe(4001));
    await expectBothWays(one, two, 5);
  });

  it('that opens again takes the place of the one before', async () => {
    const two = await TestNode.start(2);
    await rawPeer(two, helloOf(1));
    const before = await rawHeartbeats(two);
    await until(() => expect(two.logged.at(-1)?.message).toBe('heartbeats have a connection of their own'));
    const after = await rawHeartbeats(two);
    await until(() => expect(before.closed?.code).toBe(4002));
    after.sendMessages([heartbeat(9)]);
    await until(() => expect(two.rounds(1)).toEqual([9]));
    two.links.send(1, [heartbeat(10)]);
    await until(() => expect(after.messages).toEqual([heartbeat(10)]));
  });

  it('ends its link, as that itself would, with a frame of another cluster', async () => {
    const two = await TestNode.start(2);
    const link = await rawPeer(two, helloOf(1));
    const heartbeats = await rawHeartbeats(two);
    heartbeats.sendMessages([heartbeat(1)], 'ffeeddccbbaa9988');
    await until(() => expect(link.closed?.code).toBe(4001));
    await until(() => expect(heartbeats.closed).toBeDefined());
    expect(two.rounds(1)).toEqual([]);
  });

  it('ends, without its link, with a frame that is too large for heartbeats, or none', async () => {
    const two = await TestNode.start(2);
    const link = await rawPeer(two, helloOf(1));
    const large = await rawHeartbeats(two);
    large.sendMessages([bulk(heartbeatFrameBytesMax)]);
    await until(() => expect(large.closed?.code).toBe(1009));
    const damaged = await rawHeartbeats(two);
    damaged.socket.send(Uint8Array.of(1, 2, 3));
    await until(() => expect(damaged.closed?.code).toBe(4000));
    link.sendMessages([heartbeat(2)]);
    await until(() => expect(two.rounds(1)).toEqual([2]));
  });

  it('is cut, and heartbeats take the link, where the other end takes nothing any more', async () => {
    const two = await TestNode.start(2, { limits: { silenceMsMax: 60_000 } });
    const link = await rawPeer(two, helloOf(1));
    const heartbeats = await rawHeartbeats(two);
    await until(() => expect(two.logged.at(-1)?.message).toBe('heartbeats have a connection of their own'));
    heartbeats.socket.pause();
    await until(() => {
      for (let round = 0; round < 10_000; round++) two.links.send(1, [heartbeat(round)]);
      expect(two.logged.at(-1)?.message).toBe('heartbeats take the link');
    });
    expect(String(two.logged.at(-1)?.reason)).toMatch(/^\d+ bytes of heartbeats wait to be sent$/);
    await until(() => expect(link.messages.length).toBeGreaterThan(0));
  });

  it('is dead after some time in which nothing comes', async () => {
    const two = await TestNode.start(2, { limits: { pingIntervalMs: 20, silenceMsMax: 100 } });
    await rawPeer(two, helloOf(1));
    const silent = await rawSocket(two.address, heartbeatPath, false);
    silent.socket.send(encodePeerHello(helloOf(1)));
    await until(() => expect(silent.closed).toBeDefined());
    expect(two.logged.map(({ reason }) => reason)).toContain('silent for too long');
    expect(two.events).toEqual(['+1']);
  });
});
