import { describe, expect, test } from 'vitest';
import { defaultCluster, formatClusterFile, parseClusterFile } from '../../src/cluster/cluster-file.ts';
import { InputError } from '../../src/cluster/input-error.ts';

const parse = (file: unknown) => parseClusterFile(JSON.stringify(file), '/etc/kv.json', 31);

describe('parseClusterFile', () => {
  test('reads names, addresses and settings, in ascending order of ids', () => {
    const nodes = { 9: '10.0.0.9:7001', 2: 'Two.example.org:7001' };
    const cluster = parse({ cluster: 'shop', nodes, electionTimeoutMs: 200, requestTimeoutMs: 3000 });
    expect(cluster.path).toBe('/etc/kv.json');
    expect(cluster.name).toBe('shop');
    expect([...cluster.nodes]).toEqual([
      [2, 'two.example.org:7001'],
      [9, '10.0.0.9:7001'],
    ]);
    expect(cluster.settings).toEqual({ electionTimeoutMs: 200, requestTimeoutMs: 3000 });
  });

  test('reads what formatClusterFile wrote', () => {
    const cluster = { name: 'x', nodes: defaultCluster.nodes, settings: { electionTimeoutMs: 50 } };
    expect(parseClusterFile(formatClusterFile(cluster), 'p', 31)).toEqual({ path: 'p', ...cluster });
  });

  test('reads where TLS has its files, beside it', () => {
    const tls = { ca: 'ca.pem', cert: '/abs/node.pem', key: '../node-key.pem' };
    const cluster = parse({ cluster: 'shop', nodes: { 1: '10.0.0.1:7001' }, tls });
    expect(cluster.tls).toEqual({ ca: '/etc/ca.pem', cert: '/abs/node.pem', key: '/node-key.pem' });
    expect(parseClusterFile(formatClusterFile(cluster), '/etc/kv.json', 31)).toEqual(cluster);
  });

  const nodes = { 1: '127.0.0.1:7001' };
  test.each([
    [{ cluster: 'a', nodes, tls: true }, '"tls" is no object: give the files ca, cert, key, as in {"ca": "ca.pem"'],
    [{ cluster: 'a', nodes, tls: { ca: 'a', cert: 'b' } }, '"tls" lacks "key": give all of ca, cert, key'],
    [{ cluster: 'a', nodes, tls: { ca: 'a', cert: 'b', key: '' } }, '"tls" has no file as "key"'],
    [
      { cluster: 'a', nodes, tls: { ca: 'a', cert: 'b', key: 'c', crl: 'd' } },
      '"tls" has "crl": there are ca, cert, key',
    ],
    [
      { cluster: 'a', nodes, electionTimeout: 5 },
      'unknown key "electionTimeout": did you mean "electionTimeoutMs"? known are',
    ],
    [{ cluster: 'a', node: nodes }, 'unknown key "node": did you mean "nodes"?'],
    [
      { cluster: 'a', nodes, xyzzy: 1 },
      'unknown key "xyzzy": known are cluster, nodes, tls, electionTimeoutMs, requestTimeoutMs, quotaBytes',
    ],
    [{ nodes }, '"cluster" is missing'],
    [{ cluster: 5, nodes }, '"cluster" is not a string'],
    [{ cluster: 'a b', nodes }, 'cluster name "a b" is not allowed'],
    [{ cluster: '', nodes }, 'cluster name "" is not allowed'],
    [{ cluster: 'a' }, '"nodes" is missing'],
    [{ cluster: 'a', nodes: {} }, '"nodes" names no node'],
    [{ cluster: 'a', nodes: [] }, '"nodes" names no node'],
    [{ cluster: 'a', nodes: { one: 'h:1' } }, 'in "nodes", node id "one" is not one'],
    [{ cluster: 'a', nodes: { 0: 'h:1' } }, 'in "nodes", node id "0" is not one'],
    [{ cluster: 'a', nodes: { 1: 7001 } }, 'the address of node 1 is not a string'],
    [{ cluster: 'a', nodes: { 1: 'h' } }, 'the address of node 1, "h" has no port'],
    [{ cluster: 'a', nodes: { 1: 'h:1', 2: 'H:1' } }, 'nodes 1 and 2 have the same address h:1'],
    [
      { cluster: 'a', nodes, electionTimeoutMs: 5 },
      '"electionTimeoutMs" is 5: a whole number of milliseconds from 20 to 60000',
    ],
    [{ cluster: 'a', nodes, requestTimeoutMs: '5s' }, '"requestTimeoutMs" is "5s": a whole number of milliseconds'],
    [[], 'an object was expected'],
  ])('refuses %j', (file, reason) => {
    expect(() => parse(file)).toThrow(InputError);
    expect(() => parse(file)).toThrow(`/etc/kv.json: ${reason}`);
    expect(() => parse(file)).toThrow(/^[^\n]+$/);
  });

  test('refuses more nodes than a cluster has', () => {
    const text = JSON.stringify({ cluster: 'a', nodes: { 1: 'h:1', 2: 'h:2', 3: 'h:3' } });
    expect(() => parseClusterFile(text, 'p', 2)).toThrow('"nodes" names 3 nodes: a cluster has at most 2');
  });

  test('a key cannot touch the prototype of an object', () => {
    expect(() => parseClusterFile('{"__proto__": {}, "cluster": "a", "nodes": {}}', 'p', 31)).toThrow(
      'unknown key "__proto__"',
    );
  });
});
