import { connect } from 'node:tls';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { clientContext, tlsSettings } from '../../src/tls/identity.ts';
import { tlsOf, type Whose } from '../tls/identities.ts';
import { bulk, heartbeat, TestNode, until } from './test-node.ts';

const limits = { redialMaxMs: 50 };

/** Node 1, with TLS or without, dials node 2 in vain; gives what both make of it. */
async function refused(one: Whose | undefined, two: Whose | undefined): Promise<{ told: string; said: unknown[] }> {
  const [dialling, dialled] = await Promise.all([
    TestNode.start(1, { limits, ...(one && { tls: tlsOf(one) }) }),
    TestNode.start(2, { ...(two && { tls: tlsOf(two) }) }),
  ]);
  dialling.dial(dialled);
  await until(() => expect(dialling.unreached.length).toBeGreaterThan(2));
  expect([...dialling.events, ...dialled.events]).toEqual([]);
  const told = dialling.unreached[0]?.reason ?? '';
  return { told, said: dialled.logged.map(({ message, reason }) => `${message}: ${reason}`) };
}

describe('a link with TLS', () => {
  it('comes up, whoever dials, and carries what it should both ways', async () => {
    const one = await TestNode.start(1, { tls: tlsOf('node') });
    const two = await TestNode.start(2, { tls: tlsOf('renewed') });
    one.dial(two);
    two.dial(one);
    await until(() => expect([one.links.connected, two.links.connected]).toEqual([[2], [1]]));
    await until(() => {
      one.links.send(2, [heartbeat(1), bulk(3 * 1024 * 1024), heartbeat(2)]);
      two.links.send(1, [heartbeat(3)]);
      expect(two.rounds(1)).toContain(2);
      expect(one.rounds(2)).toContain(3);
    });
  });

  it('that is idle is not taken for silent', async () => {
    const often = { pingIntervalMs: 10, silenceMsMax: 200 };
    const one = await TestNode.start(1, { tls: tlsOf('node'), limits: often });
    const two = await TestNode.start(2, { tls: tlsOf('node'), limits: often });
    one.dial(two);
    await until(() => expect(one.events).toEqual(['+2']));
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect([one.events, two.events]).toEqual([['+2'], ['+1']]);
  });

  it('is not made to one that has a certificate for another host', async () => {
    const { told } = await refused('node', 'elsewhere');
    expect(told).toMatch(/^answers, but its certificate is for another name: .*127\.0\.0\.1/);
  });

  it('is not made to one of another authority', async () => {
    const { told, said } = await refused('node', 'stranger');
    expect(told).toMatch(/^answers, but its certificate is not believed: /);
    expect(said).toContainEqual(expect.stringContaining('connection refused: its TLS is not accepted'));
  });

  it('is not taken of one of another authority, though that one would', async () => {
    const two = await TestNode.start(2, { tls: tlsOf('node') });
    const one = await TestNode.start(1, { limits });
    one.secureContext = clientContext({ ...tlsOf('stranger'), ca: tlsOf('node').ca });
    one.dial(two);
    await until(() => expect(one.unreached.length).toBeGreaterThan(2));
    expect([...one.events, ...two.events]).toEqual([]);
    expect(one.unreached[0]?.reason).toContain(
      'is this certificate still valid, and of an authority that the node believes?',
    );
    const line = { from: '127.0.0.1', reason: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE' };
    expect(two.logged).toContainEqual(expect.objectContaining(line));
  });

  it('is not made to one of another authority, whatever the environment has Node believe', async () => {
    vi.stubEnv('NODE_TLS_REJECT_UNAUTHORIZED', '0');
    onTestFinished(() => void vi.unstubAllEnvs());
    expect((await refused('node', 'stranger')).told).toMatch(/^answers, but its certificate is not believed: /);
  });

  it('is not made where one of both has none', async () => {
    expect((await refused('node', undefined)).told).toMatch(/^answers, but without TLS /);
    const { told, said } = await refused(undefined, 'node');
    expect(told).toBe('connection reset (as by a node that takes only connections with TLS)');
    expect(said).toContain('connection refused: its TLS is not accepted: http request');
  });

  it('is made with what was renewed, once it was', async () => {
    const one = await TestNode.start(1, { tls: tlsOf('stranger'), limits });
    const two = await TestNode.start(2, { tls: tlsOf('node') });
    one.dial(two);
    await until(() => expect(one.unreached.length).toBeGreaterThan(0));
    one.secureContext = clientContext(tlsOf('renewed'));
    await until(() => expect(one.events).toEqual(['+2']));
    one.gateway.renewTls(tlsOf('renewed'));
    two.dial(one);
    one.handles.get(2)?.refuse('for the other way');
    await until(() => expect(two.events.filter((event) => event === '+1').length).toBeGreaterThan(1));
  });
});

describe('the port of a node with TLS', () => {
  /** Says hello to it as `options` have it; resolves to what comes of that: an answer, or a code. */
  function answerTo(port: number, options: object): Promise<string> {
    return new Promise((resolve) => {
      const socket = connect({ host: '127.0.0.1', port, ...options });
      socket.on('secureConnect', () => socket.write('GET /health HTTP/1.0\r\n\r\n'));
      socket.on('data', (data) => resolve(data.toString().split('\r\n')[0] as string));
      socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
      socket.on('close', () => resolve('closed'));
    });
  }

  it('lets nobody in by what an earlier connection left: the certificate may have expired', async () => {
    const { port } = await TestNode.start(1, { tls: tlsOf('node') });
    const settings = { host: '127.0.0.1', port, ...tlsSettings(tlsOf('node')) };
    const sessions: Buffer[] = [];
    const first = connect(settings, () => first.write('GET /health HTTP/1.0\r\n\r\n'));
    first.on('session', (session) => sessions.push(session));
    await new Promise((resolve) => first.on('close', resolve).resume());
    const session = sessions.at(-1);
    const second = connect({ ...settings, ...(session && { session }) });
    await new Promise((resolve) => second.once('secureConnect', resolve));
    expect(second.isSessionReused()).toBe(false);
    second.destroy();
  });

  it('lets nobody in who shows no certificate, or speaks what is older', async () => {
    const { port } = await TestNode.start(1, { tls: tlsOf('node') });
    const { ca } = tlsOf('node');
    const settings = tlsSettings(tlsOf('node'));
    expect(await answerTo(port, settings)).toBe('HTTP/1.1 200 OK');
    expect(await answerTo(port, { ca })).toBe('ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED');
    expect(await answerTo(port, { ...tlsSettings(tlsOf('stranger')), ca })).not.toContain('HTTP');
    expect(await answerTo(port, { ...settings, minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' })).toBe(
      'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION',
    );
  });
});
