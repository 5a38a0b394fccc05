import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { defaultCluster } from '../../src/cluster/cluster-file.ts';
import { findCluster } from '../../src/cluster/find-cluster.ts';

describe('findCluster', () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'kv-find-'));
    mkdirSync(join(directory, 'a/b'), { recursive: true });
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  const write = (path: string, cluster: string) =>
    writeFileSync(join(directory, path), JSON.stringify({ cluster, nodes: { 1: 'h:1' } }));
  const find = (sources: { flag?: string; environment?: string }) =>
    findCluster({ ...sources, directory: join(directory, 'a/b'), nodesMax: 31 });

  test('without a file it is the default cluster', () => {
    expect(find({})).toBe(defaultCluster);
    expect([...defaultCluster.nodes]).toEqual([
      [1, '127.0.0.1:7001'],
      [2, '127.0.0.1:7002'],
      [3, '127.0.0.1:7003'],
    ]);
  });

  test('the nearest file upward is taken', () => {
    write('kv.json', 'far');
    expect(find({}).name).toBe('far');
    write('a/kv.json', 'near');
    expect(find({})).toMatchObject({ name: 'near', path: join(directory, 'a/kv.json'), home: join(directory, 'a') });
  });

  test('a link that leads nowhere is not passed over for a file above', () => {
    write('kv.json', 'far');
    symlinkSync(join(directory, 'gone.json'), join(directory, 'a/kv.json'));
    expect(() => find({})).toThrow(/a\/kv\.json, .* cannot be read: it is a link to a file that is not there/);
  });

  test('the flag wins over the variable, and the variable over the file upward', () => {
    write('a/kv.json', 'upward');
    write('a/b/flag.json', 'flag');
    write('environment.json', 'environment');
    const environment = join(directory, 'environment.json');
    expect(find({ environment }).name).toBe('environment');
    expect(find({ environment, flag: 'flag.json' }).name).toBe('flag');
    expect(find({ environment: '' }).name).toBe('upward');
  });

  test('a file that is far too long for one is not read', () => {
    writeFileSync(join(directory, 'kv.json'), `{"cluster": "${'x'.repeat(30_000_000)}"}`);
    expect(() => find({})).toThrow(/has 30000\d\d\d characters: at most 1048576 are read/);
  });

  test('a named file that cannot be read is an error that says who named it', () => {
    expect(() => find({ flag: 'none.json' })).toThrow(
      /none\.json, named by --config, cannot be read: there is no such file/,
    );
    expect(() => find({ environment: '.' })).toThrow(/named by KV_CONFIG, cannot be read: it is a directory/);
  });
});
