import { once } from 'node:events';
import { connect } from 'node:net';
import { describe, expect, it, vi } from 'vitest';
import { WebSocket } from 'ws';
import type { ClientConnection } from '../../src/network/client-connection.ts';
import { AddressInUseError, CannotListenError } from '../../src/network/listening.ts';
import { decodeResponses, encodeRequests } from '../../src/wire/client-frame.ts';
import type { ClientRequest, ClientResponse } from '../../src/wire/client-message.ts';
import { clientPath, decodeClientHello } from '../../src/wire/handshake.ts';
import { protocolVersion } from '../../src/wire/limits.ts';
import { sealed } from '../wire/sealed.ts';
import { clusterId, type RawSocket, rawSocket, TestNode, until } from './test-node.ts';

/** Answers a `get` with its key as the value. */
function echo(connection: ClientConnection, requests: readonly ClientRequest[]): void {
  connection.send(requests.map(echoed));
}

function echoed(request: ClientRequest): ClientResponse {
  if (request.type !== 'get') throw new Error(`unexpected ${request.type}`);
  return { id: request.id, type: 'record', record: { value: request.key, revision: request.id } };
}

function get(id: number, key: string): ClientRequest {
  return { id, timeoutMs: 1000, type: 'get', consistency: 'local', key: new TextEncoder().encode(key) };
}

function answers(client: RawSocket): Map<number, string> {
  const found = new Map<number, string>();
  for (const response of client.frames.flatMap(decodeResponses)) {
    if (response.type === 'record') found.set(response.id, new TextDecoder().decode(response.record?.value));
  }
  return found;
}

/** Status code that an attempt to upgrade is answered with. */
async function upgradeStatus(address: string, path: string, origin?: string): Promise<number | undefined> {
  const socket = new WebSocket(`ws://${address}${path}`, origin === undefined ? {} : { origin });
  socket.on('error', () => {});
  const [, response] = await once(socket, 'unexpected-response');
  return response.statusCode;
}

describe('a client connection', () => {
  it('begins with the hello of the node', async () => {
    const node = await TestNode.start(2);
    const client = await rawSocket(node.address, clientPath);
    await until(() => expect(client.texts).toHaveLength(1));
    const hello = { protocolVersion, kv: true, nodeId: 2, clusterName: 'test', clusterId };
    expect(decodeClientHello(client.texts[0] ?? '')).toEqual(hello);
  });

  it('hands over the requests of a frame in one call, and takes answers in any order', async () => {
    const held: ClientRequest[][] = [];
    let connection: ClientConnection | undefined;
    const node = await TestNode.start(1, {
      onRequests: (from, requests) => {
        connection = from;
        held.push(requests);
      },
    });
    const client = await rawSocket(node.address, clientPath);
    client.socket.send(encodeRequests([get(1, 'a'), get(2, 'b')]));
    client.socket.send(encodeRequests([get(3, 'c')]));
    await until(() => expect(held.map((requests) => requests.map(({ id }) => id))).toEqual([[1, 2], [3]]));
    for (const request of held.flat().reverse()) connection?.send([echoed(request)]);
    await until(() =>
      expect([...answers(client)]).toEqual([
        [3, 'c'],
        [2, 'b'],
        [1, 'a'],
      ]),
    );
  });

  it('gets its own answers while many clients ask at once', async () => {
    const node = await TestNode.start(1, { onRequests: echo });
    const clients = await Promise.all(Array.from({ length: 20 }, () => rawSocket(node.address, clientPath)));
    for (let id = 0; id < 50; id++) {
      for (const [at, client] of clients.entries()) client.socket.send(encodeRequests([get(id, `${at}/${id}`)]));
    }
    await until(() => {
      for (const client of clients) expect(answers(client).size).toBe(50);
    });
    for (const [at, client] of clients.entries()) {
      for (const [id, value] of answers(client)) expect(value).toBe(`${at}/${id}`);
    }
  });

  it.each([
    ['malformed', sealed(Uint8Array.of(protocolVersion, 0, 0, 0, 0, 5, 5, 99)), /^malformed: unknown code 99/],
    ['damaged', Uint8Array.of(protocolVersion, 0, 0, 0, 0, 5, 5, 99), /^malformed: a frame was damaged on its way/],
    ['of another version', Uint8Array.of(protocolVersion + 1), new RegExp(`protocol version ${protocolVersion + 1}`)],
    ['text', 'hello', /a text frame where requests are due/],
    ['oversized', new Uint8Array(50_001), /Max payload size exceeded/],
  ])('with a frame that is %s is ended, and no other', async (_, frame, reason) => {
    const node = await TestNode.start(1, { onRequests: echo, gatewayLimits: { frameBytesMax: 50_000 } });
    const bad = await rawSocket(node.address, clientPath);
    const good = await rawSocket(node.address, clientPath);
    bad.socket.send(frame);
    await until(() => expect(bad.closed).toBeDefined());
    expect(node.logged.map((line) => line.reason)).toEqual([expect.stringMatching(reason)]);
    good.socket.send(encodeRequests([get(1, 'a')]));
    await until(() => expect(answers(good).get(1)).toBe('a'));
    expect(node.closedClients).toEqual([1]);
    expect(node.gateway.connectionCount).toBe(1);
  });

  it('that does not read is cut once too much waits', async () => {
    let connection: ClientConnection | undefined;
    const node = await TestNode.start(1, {
      onRequests: (from) => {
        connection = from;
      },
      gatewayLimits: { bufferedBytesMax: 1024 * 1024 },
    });
    const client = await rawSocket(node.address, clientPath);
    client.socket.send(encodeRequests([get(1, 'a')]));
    await until(() => expect(connection).toBeDefined());
    client.socket.pause();
    const value = new Uint8Array(256 * 1024);
    for (let sent = 0; node.closedClients.length === 0; sent++) {
      expect(sent).toBeLessThan(1000);
      connection?.send([{ id: 1, type: 'record', record: { value, revision: 1 } }]);
      await new Promise(setImmediate);
    }
    expect(node.logged.map(({ reason }) => reason)).toEqual([
      expect.stringMatching(/bytes wait to be read, at most 1048576 are allowed/),
    ]);
    // A send on a closed connection does nothing.
    connection?.send([{ id: 2, type: 'record', record: undefined }]);
    expect(node.closedClients).toEqual([1]);
  });

  it('for which the most is held is cut once too much is held for all together', async () => {
    const connections: ClientConnection[] = [];
    const node = await TestNode.start(1, {
      onRequests: (from) => connections.push(from),
      gatewayLimits: { heldBytesMax: 16 * 1024 * 1024 },
    });
    const clients = await Promise.all([1, 2, 3].map(() => rawSocket(node.address, clientPath)));
    for (const client of clients) client.socket.send(encodeRequests([get(1, 'a')]));
    await until(() => expect(connections).toHaveLength(3));
    for (const client of clients) client.socket.pause();
    const value = new Uint8Array(256 * 1024);
    const [most, other] = connections;
    for (let sent = 0; node.closedClients.length === 0; sent++) {
      expect(sent).toBeLessThan(1000);
      most?.send([{ id: 1, type: 'record', record: { value, revision: 1 } }]);
      if (sent % 4 === 0) other?.send([{ id: 1, type: 'record', record: { value, revision: 1 } }]);
      await new Promise(setImmediate);
    }
    expect(node.closedClients).toEqual([most?.id]);
    expect(node.logged.map(({ reason }) => reason)).toEqual([
      expect.stringMatching(/bytes are held for all clients, at most 16777216 are allowed: \d+ for this one/),
    ]);
  });

  it('whose frame does not become complete counts with what came of it', async () => {
    const node = await TestNode.start(1, { onRequests: echo, gatewayLimits: { heldBytesMax: 1024 * 1024 } });
    const good = await rawSocket(node.address, clientPath);
    const bad = await rawSocket(node.address, clientPath);
    for (let id = 1; id <= 20; id++) {
      good.socket.send(encodeRequests([get(id, 'a'.repeat(100_000))]));
      await until(() => expect(answers(good).get(id)).toBeDefined());
    }
    bad.socket.send(new Uint8Array(1_100_000), { fin: false });
    await until(() => expect(node.closedClients).toEqual([2]));
    expect(node.gateway.connectionCount).toBe(1);
  });

  it('that says no more than that it is there holds nothing', async () => {
    const node = await TestNode.start(1, {
      gatewayLimits: { pingIntervalMs: 2, silenceMsMax: 10_000, heldBytesMax: 2_000 },
    });
    const clients = await Promise.all([1, 2, 3].map(() => rawSocket(node.address, clientPath)));
    // Each answer has six bytes.
    await until(() => expect(Math.min(...clients.map(({ pings }) => pings))).toBeGreaterThan(500));
    expect(node.closedClients).toEqual([]);
  });

  it('that is gone without a word is noticed', async () => {
    const node = await TestNode.start(1, { gatewayLimits: { pingIntervalMs: 10, silenceMsMax: 50 } });
    await rawSocket(node.address, clientPath, false);
    await until(() => expect(node.closedClients).toEqual([1]));
  });

  it('is reported closed once when the client leaves', async () => {
    const node = await TestNode.start(1);
    const client = await rawSocket(node.address, clientPath);
    client.socket.close();
    await until(() => expect(node.closedClients).toEqual([1]));
    expect(node.gateway.connectionCount).toBe(0);
  });

  it('is refused over the limit of connections, and taken again below it', async () => {
    const node = await TestNode.start(1, { gatewayLimits: { connectionsMax: 2 } });
    const first = await rawSocket(node.address, clientPath);
    await rawSocket(node.address, clientPath);
    expect(await upgradeStatus(node.address, clientPath)).toBe(503);
    first.socket.close();
    await until(() => expect(node.closedClients).toEqual([1]));
    await rawSocket(node.address, clientPath);
  });
});

describe('the port', () => {
  it('tells its health over plain HTTP', async () => {
    const node = await TestNode.start(3);
    const response = await fetch(`http://${node.address}/health`);
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual({ protocolVersion, kv: true, nodeId: 3, clusterName: 'test', clusterId });
  });

  it('tells its metrics over plain HTTP', async () => {
    const node = await TestNode.start(3);
    const response = await fetch(`http://${node.address}/metrics`);
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
    expect(await response.text()).toBe('kv_node 3\n');
  });

  it.each([
    ['GET', '/', 404],
    ['GET', '/v1/other', 404],
    ['POST', '/health', 405],
    ['PUT', '/metrics', 405],
    ['GET', clientPath, 426],
    ['GET', '/v1/peer', 426],
  ])('answers %s %s with %i', async (method, path, status) => {
    const node = await TestNode.start(1);
    const response = await fetch(`http://${node.address}${path}`, { method });
    expect(response.status).toBe(status);
    expect(await response.json()).toHaveProperty('error');
  });

  it('refuses an upgrade on any other path', async () => {
    const node = await TestNode.start(1);
    expect(await upgradeStatus(node.address, '/v2/client')).toBe(404);
    expect(await upgradeStatus(node.address, '/health')).toBe(404);
  });

  it.each([clientPath, '/v1/peer'])('refuses pages in a browser at %s', async (path) => {
    const node = await TestNode.start(1);
    expect(await upgradeStatus(node.address, path, 'http://evil.example')).toBe(403);
  });

  it('answers one question over HTTP on a connection, and ends it, also where nobody takes the answer', async () => {
    const node = await TestNode.start(1, { gatewayLimits: { requestMsMax: 200, socketsMax: 1 } });
    const question = 'GET /health HTTP/1.1\r\nHost: x\r\n\r\n';
    const taking = connect(node.port, '127.0.0.1');
    let answer = '';
    taking.on('data', (data) => {
      answer += data;
    });
    taking.write(question.repeat(3));
    await once(taking, 'close');
    expect(answer).toMatch(/^HTTP\/1.1 200 OK\r\n/);
    expect(answer.split('"kv":true')).toHaveLength(2);
    const paused = connect(node.port, '127.0.0.1').pause();
    paused.on('error', () => {});
    paused.write(question.repeat(3000));
    const silent = connect(node.port, '127.0.0.1');
    silent.resume();
    await once(silent, 'close');
    await vi.waitFor(async () => expect((await fetch(`http://${node.address}/health`)).status).toBe(200), 10_000);
    paused.destroy();
  });

  it('survives what is no HTTP at all', async () => {
    const node = await TestNode.start(1, { onRequests: echo });
    const tcp = connect(node.port, '127.0.0.1');
    tcp.on('error', () => {});
    tcp.resume();
    tcp.write(new Uint8Array(2000).fill(200));
    await once(tcp, 'close');
    expect((await fetch(`http://${node.address}/health`)).status).toBe(200);
  });

  it('that is taken is reported with its address and what to do', async () => {
    const node = await TestNode.start(1);
    const second = TestNode.start(2, { port: node.port });
    await expect(second).rejects.toBeInstanceOf(AddressInUseError);
    await expect(second).rejects.toThrow(`127.0.0.1:${node.port} is in use: is this node running already?`);
  });

  it('at an address of another machine is reported', async () => {
    const node = await TestNode.start(1);
    await node.stop();
    const listening = node.gateway.listen({ host: '192.0.2.1', port: 0 });
    await expect(listening).rejects.toBeInstanceOf(CannotListenError);
    await expect(listening).rejects.toThrow(/^cannot listen at 192\.0\.2\.1:0 .*: give an address of this machine$/);
  });

  it('is free again after close, which ends all connections', async () => {
    const node = await TestNode.start(1);
    const client = await rawSocket(node.address, clientPath);
    const peer = await rawSocket(node.address, '/v1/peer');
    await node.gateway.close();
    expect(node.closedClients).toEqual([1]);
    await until(() => expect(client.closed).toEqual({ code: 1001, reason: 'shutting down' }));
    await until(() => expect(peer.closed).toBeDefined());
    await TestNode.start(1, { port: node.port });
  });
});
