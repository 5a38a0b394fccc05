import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { planUp } from '../../src/cli/local-cluster/up-plan.ts';
import { planStart } from '../../src/cli/start/start-plan.ts';
import { defaultCluster, parseClusterFile } from '../../src/cluster/cluster-file.ts';

const file = {
  path: '/etc/kv.json',
  name: 'shop',
  nodes: new Map([
    [1, '127.0.0.1:9001'],
    [3, '10.0.0.3:9003'],
  ]),
  settings: { electionTimeoutMs: 90 },
};

describe('planStart', () => {
  test('the data goes beside a file that was found, whatever folder below it this is, unless something is said', () => {
    const found = { ...defaultCluster, path: '/home/me/kv.json', home: '/home/me' };
    expect(planStart({ id: '2' }, found, '/home/me/sub', false).dataDirectory).toBe('/home/me/kv-data/node-2');
    expect(planStart({ id: '2', data: 'own' }, found, '/home/me/sub', false).dataDirectory).toBe('/home/me/sub/own');
    const named = { ...found, home: undefined };
    expect(planStart({ id: '2' }, named, '/home/me/sub', false).dataDirectory).toBe('/home/me/sub/kv-data/node-2');
  });

  test('without a file, node 2 is one of three on this machine', () => {
    expect(planStart({ id: '2' }, defaultCluster, '/home/me', false)).toEqual({
      nodeId: 2,
      clusterName: 'kv',
      nodes: defaultCluster.nodes,
      address: '127.0.0.1:7002',
      insecure: false,
      dataDirectory: '/home/me/kv-data/node-2',
      settings: {},
    });
  });

  test('without a file, node 4 stands by on 7004, or where it is told', () => {
    expect(planStart({ id: '4' }, defaultCluster, '/', false)).toMatchObject({ nodeId: 4, address: '127.0.0.1:7004' });
    expect(planStart({ id: '4', address: 'localhost:9' }, defaultCluster, '/', false)).toMatchObject({
      address: 'localhost:9',
    });
  });

  test('with a file, it is the node of the file; flags win over its settings', () => {
    const flags = { id: '1', data: 'd', 'election-timeout': '150ms' };
    expect(planStart(flags, file, '/home/me', false)).toMatchObject({
      clusterName: 'shop',
      address: '127.0.0.1:9001',
      dataDirectory: '/home/me/d',
      settings: { electionTimeoutMs: 150 },
    });
    expect(planStart({ id: '1' }, file, '/', false).settings).toEqual({ electionTimeoutMs: 90 });
  });

  test('a quota is a size; the flag wins over the file', () => {
    expect(planStart({ id: '1', quota: '1.5GiB' }, file, '/', false).settings).toMatchObject({
      quotaBytes: 1.5 * 2 ** 30,
    });
    const withQuota = { ...file, settings: { quotaBytes: 2 ** 30 } };
    expect(planStart({ id: '1' }, withQuota, '/', false).settings).toEqual({ quotaBytes: 2 ** 30 });
    expect(planStart({ id: '1', quota: '33554432' }, withQuota, '/', false).settings).toEqual({ quotaBytes: 2 ** 25 });
    for (const quota of ['', '1MiB', '5', '8GB', '-1GiB', '1e9', '2048TiB']) {
      expect(() => planStart({ id: '1', quota }, file, '/', false), quota).toThrow(
        /--quota ".*" is not a size from 32MiB to 1024TiB/,
      );
    }
  });

  test.each([
    [
      { id: '4' },
      file,
      'node 4 is not in /etc/kv.json, which has the nodes 1, 3: start one of these, or give --address',
    ],
    [{ id: '0' }, file, '--id "0" is not one'],
    [{ id: 'x' }, defaultCluster, '--id "x" is not one'],
    [{ id: '3' }, file, '10.0.0.3:9003 can be reached from other machines'],
    [{ id: '4', address: '0.0.0.0:1' }, defaultCluster, 'set up TLS (tls in the cluster file, or --tls-ca'],
    [{ id: '4', address: '7004' }, defaultCluster, '--address "7004" has no port'],
    [{ id: '1', address: '127.0.0.1:1' }, file, 'node 1 is at 127.0.0.1:9001 in /etc/kv.json: leave --address out'],
    [{ id: '1', address: '127.0.0.1:1' }, defaultCluster, 'node 1 is at 127.0.0.1:7001 in the default cluster'],
    [{ id: '4', address: '127.0.0.1:7001' }, defaultCluster, '--address 127.0.0.1:7001 is that of node 1'],
    [{ id: '60000' }, defaultCluster, '--id 60000 has no default address (ids up to 58535 have)'],
    [{ id: '1', 'election-timeout': '1ms' }, defaultCluster, '--election-timeout "1ms" is not a duration'],
  ])('refuses %j', (flags, cluster, reason) => {
    expect(() => planStart(flags, cluster, '/', false)).toThrow(reason);
  });

  test('so does TLS', () => {
    expect(planStart({ id: '3' }, file, '/', true)).toMatchObject({ address: '10.0.0.3:9003', insecure: false });
  });

  test('--insecure allows any address', () => {
    expect(planStart({ id: '3', insecure: true }, file, '/', false).address).toBe('10.0.0.3:9003');
  });
});

describe('planUp', () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'kv-up-'));
  });
  afterEach(() => rmSync(directory, { recursive: true }));
  const plan = (flags: { nodes?: number; data?: string }, cluster: Parameters<typeof planUp>[1] = defaultCluster) =>
    planUp(flags, cluster, directory, 31);

  test('without a file it writes one into the data folder, and finds it again', () => {
    const first = plan({ nodes: 5, data: 'five' });
    expect(first.configPath).toBe(join(directory, 'five/kv.json'));
    expect([...first.cluster.nodes.values()].at(-1)).toBe('127.0.0.1:7005');
    expect(parseClusterFile(first.configText ?? '', 'p', 31).nodes).toEqual(first.cluster.nodes);
    mkdirSync(join(directory, 'five'));
    writeFileSync(first.configPath, first.configText ?? '');
    expect(plan({ data: 'five' })).toMatchObject({ cluster: { nodes: first.cluster.nodes }, configText: undefined });
    expect(() => plan({ nodes: 3, data: 'five' })).toThrow('five/kv.json has 5 nodes: leave --nodes out');
  });

  test('three nodes in kv-data unless told otherwise', () => {
    expect(plan({})).toMatchObject({
      dataFolder: join(directory, 'kv-data'),
      cluster: { nodes: defaultCluster.nodes },
    });
  });

  test('refuses counts no cluster has, and nodes of other machines', () => {
    expect(() => plan({ nodes: 0 })).toThrow('--nodes 0 is not possible: a cluster has 1 to 31 nodes');
    expect(() => plan({ nodes: 32 })).toThrow('--nodes 32 is not possible');
    const path = join(directory, 'kv.json');
    writeFileSync(path, '{"cluster": "a", "nodes": {"3": "10.0.0.3:9003"}}');
    expect(() => plan({}, { ...file, path })).toThrow(`node 3 is at 10.0.0.3:9003 in ${path}`);
  });
});
