import { describe, expect, test } from 'vitest';
import { parseDurationMs } from '../../src/cli/arguments/duration.ts';
import { defaultTimeoutMs, parseEndpoints, resolveConnection } from '../../src/cli/connection.ts';
import { type ClusterDescription, defaultCluster } from '../../src/cluster/cluster-file.ts';

describe('resolveConnection', () => {
  const file: ClusterDescription = {
    ...defaultCluster,
    nodes: new Map([[1, 'file:1']]),
    settings: { requestTimeoutMs: 1234 },
  };

  test('flags win over the environment, that over the file, that over the defaults', () => {
    const environment = { KV_ENDPOINTS: 'variable:1' };
    const endpoints = (flags: object, env: object, cluster = file) =>
      resolveConnection({ flags, environment: env, cluster }).endpoints;
    expect(endpoints({ endpoints: 'flag:1' }, environment)).toEqual(['flag:1']);
    expect(endpoints({}, environment)).toEqual(['variable:1']);
    expect(endpoints({}, { KV_ENDPOINTS: '' })).toEqual(['file:1']);
    expect(endpoints({}, {}, { ...defaultCluster, settings: file.settings })).toEqual([
      '127.0.0.1:7001',
      '127.0.0.1:7002',
      '127.0.0.1:7003',
    ]);
  });

  test('nodes are to be of the cluster of the file where it is the file that names them', () => {
    const named = { ...file, path: '/a/kv.json', name: 'shop' };
    const clusterName = (cluster: ClusterDescription, flags = {}, environment = {}) =>
      resolveConnection({ flags, environment, cluster }).clusterName;
    expect(clusterName(named)).toBe('shop');
    expect(clusterName(named, { endpoints: 'flag:1' })).toBeUndefined();
    expect(clusterName(named, {}, { KV_ENDPOINTS: 'variable:1' })).toBeUndefined();
    expect(clusterName(defaultCluster)).toBeUndefined();
  });

  test('the timeout is that of the flag, else of the file, else of the command, else 5 s', () => {
    const timeout = (sources: object) =>
      resolveConnection({ flags: {}, environment: {}, cluster: file, ...sources }).timeoutMs;
    expect(timeout({ flags: { timeout: '7s' } })).toBe(7000);
    expect(timeout({ fallbackTimeoutMs: 9 })).toBe(1234);
    expect(timeout({ cluster: defaultCluster, fallbackTimeoutMs: 9 })).toBe(9);
    expect(timeout({ cluster: defaultCluster })).toBe(defaultTimeoutMs);
  });
});

test('endpoints are named once each, and a bad one is named with its source', () => {
  expect(parseEndpoints('a:1, B:2,a:1', '--endpoints')).toEqual(['a:1', 'b:2']);
  expect(() => parseEndpoints('a:1,,b:2', '--endpoints')).toThrow('--endpoints "a:1,,b:2" has an empty item');
  expect(() => parseEndpoints('', '--endpoints')).toThrow('--endpoints "" has an empty item');
  expect(() => parseEndpoints('a:1,b', 'KV_ENDPOINTS')).toThrow('KV_ENDPOINTS: "b" has no port');
  expect(() => parseEndpoints(`${'a:1,'.repeat(100)}a:1`, 'x')).toThrow('x names 101 endpoints: at most 100');
});

describe('parseDurationMs', () => {
  const parse = (text: string) => parseDurationMs(text, '--timeout', 1, 3_600_000);

  test.each([
    ['500ms', 500],
    ['5s', 5000],
    ['5', 5000],
    ['0.5', 500],
    ['1.5s', 1500],
    ['2m', 120_000],
    ['0.2ms', 1],
  ])('reads %s', (text, durationMs) => {
    expect(parse(text)).toBe(durationMs);
  });

  test.each(['', '5h', '-5', 's', '0', '61m', '5 s x', 'NaN', '1e3'])('refuses %j', (text) => {
    expect(() => parse(text)).toThrow(
      `--timeout "${text}" is not a duration from 1ms to 1h: write 500ms, 5s, 2m or 1h`,
    );
  });
});
