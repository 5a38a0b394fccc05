import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { get } from 'node:https';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterEach, expect, test } from 'vitest';
import { KvClient } from '../../src/client/client.ts';
import { startNode } from '../../src/server.ts';
import { tlsSettings } from '../../src/tls/identity.ts';
import { tlsFilesOf, tlsOf, type Whose } from '../tls/identities.ts';
import { ProcessCluster } from './cluster.ts';

let cluster: ProcessCluster;

afterEach(() => cluster.destroy());

/** Nodes of `ids`, whose cluster file names the certificates that they and commands show. */
async function withTls(ids: number[], others: number[] = []): Promise<void> {
  cluster = await ProcessCluster.create(ids, others);
  const file = join(cluster.directory, 'kv.json');
  const { ca, cert, key } = tlsFilesOf('node');
  writeFileSync(file, JSON.stringify({ ...JSON.parse(readFileSync(file, 'utf8')), tls: { ca, cert, key } }));
  await cluster.start(...ids);
}

/** The flags with which a command shows that certificate. */
function as(whose: Whose): string[] {
  const { ca, cert, key } = tlsFilesOf(whose);
  return ['--tls-ca', ca, '--tls-cert', cert, '--tls-key', key];
}

test('a cluster with TLS is used as any other, and by nobody without a certificate that it believes', async () => {
  await withTls([1, 2, 3]);
  expect(await cluster.kv('put', 'greeting', 'hello', '--timeout', '20s')).toMatchObject({ code: 0 });
  const stranger = await cluster.kv('get', 'greeting', ...as('stranger'), '--timeout', '2s');
  expect(stranger.code).toBe(7);
  expect(stranger.stderr).toMatch(/127\.0\.0\.1:\d+ answers, but its certificate is not believed: /);
  const expired = await cluster.kv('get', 'greeting', ...as('expired'));
  expect(expired.code).toBe(2);
  expect(expired.stderr).toMatch(/expired\.pem expired on 2020-01-02T/);

  await cluster.kill(await cluster.leader());
  expect(await cluster.kv('get', 'greeting', '--timeout', '20s')).toMatchObject({ code: 0, stdout: 'hello\n' });
  const { endpoints } = cluster;
  await expect(KvClient.connect({ endpoints, timeoutMs: 1_000 })).rejects.toThrow(
    'connection reset (as by a node that takes only connections with TLS)',
  );
  expect(await cluster.kv('backup', 'save', 'greetings.kvb', '--timeout', '20s')).toMatchObject({ code: 0 });
  const client = await KvClient.connect({ endpoints, tls: tlsOf('renewed'), timeoutMs: 20_000 });
  expect(await client.put('greeting', 'good day')).toMatchObject({ revision: expect.any(Number) });
  await client.close();
});

test('a newcomer has to have TLS, too, and gets its data by it', async () => {
  await withTls([1, 2, 3], [4]);
  await cluster.kv('put', 'k', 'v', '--timeout', '20s');
  const without = join(cluster.directory, 'without.json');
  const { tls: _, ...file } = JSON.parse(readFileSync(join(cluster.directory, 'kv.json'), 'utf8'));
  writeFileSync(without, JSON.stringify(file));
  const newcomer = `4=${cluster.address(4)}`;

  await cluster.startWith(4, '--config', without);
  const refused = await cluster.kv('member', 'add', newcomer);
  expect(refused.code).toBe(5);
  expect(refused.stderr).toMatch(/what listens at 127\.0\.0\.1:\d+ answers, but without TLS \(/);
  expect(await cluster.stop(4)).toBe(0);

  await cluster.start(4);
  expect(await cluster.kv('member', 'add', newcomer)).toMatchObject({ code: 0 });
  expect(await cluster.kv('get', 'k', '--endpoints', cluster.address(4))).toMatchObject({ code: 0, stdout: 'v\n' });
});

/** What it says at `/metrics` of when its certificate ends, seconds since 1970. */
async function endToldBy(address: string): Promise<number> {
  const request = get(`https://${address}/metrics`, tlsSettings(tlsOf('node')));
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  const [, seconds] = /^kv_tls_certificate_expiry_timestamp_seconds (\d+)$/m.exec(await text(response)) ?? [];
  return Number(seconds);
}

test('an embedded node shows what was renewed to those who connect from then on', async () => {
  cluster = await ProcessCluster.create([1]);
  const address = cluster.address(1);
  const nodes = new Map([[1, address]]);
  const options = { nodeId: 1, dataDirectory: cluster.dataDirectory(1), clusterName: 'embedded', nodes, address };
  const node = await startNode({ ...options, tls: tlsOf('node') });
  const connect = (whose: Whose) => KvClient.connect({ endpoints: [address], tls: tlsOf(whose), timeoutMs: 2_000 });
  const early = await connect('node');
  const renewed = await connect('node');
  await early.put('k', 'v', { timeoutMs: 20_000 });
  await expect(connect('stranger')).rejects.toThrow('its certificate is not believed');
  expect(await endToldBy(address)).toBe(Date.UTC(2219, 10, 14) / 1000);

  node.renewTls(tlsOf('stranger'));
  const late = await connect('stranger');
  expect((await late.get('k'))?.value).toEqual(new TextEncoder().encode('v'));
  await expect(connect('node')).rejects.toThrow('its certificate is not believed');
  expect(() => renewed.renewTls({ ...tlsOf('node'), cert: '' })).toThrow('tls.cert has no certificate');
  renewed.renewTls(tlsOf('stranger'));
  expect((await renewed.status()).nodeId).toBe(1);
  expect((await renewed.statusOf(address, { timeoutMs: 2_000 })).nodeId).toBe(1);
  // Who was connected before stays so.
  expect(await early.put('k', 'w')).toMatchObject({ revision: expect.any(Number) });
  expect(() => node.renewTls({ ...tlsOf('node'), key: '' })).toThrow('tls.key has no private key');
  await Promise.all([early.close(), late.close(), renewed.close()]);
  await node.stop();
});
