import { expect, it } from 'vitest';
import { metricsText } from '../../src/network/metrics.ts';
import type { NodeStatus } from '../../src/wire/client-message.ts';

const address = '127.0.0.1:7002';
const status: NodeStatus = {
  ...{ clusterId: 'abcd', nodeId: 2, address, state: 'member', configurationId: 3, leader: 2 },
  ...{ decidedIndex: 70, appliedIndex: 69, trimmedIndex: 5, members: [{ id: 2, address }], connected: [1, 3] },
  storageId: 'd2',
  disk: { flushP50Ms: 0.5, flushP99Ms: 2, flushes: 12 },
  space: { level: 'ok', usedBytes: 1000, capacityBytes: 9000 },
  fullNodes: [1],
};
const figures = { clusterName: 'shop', clientCount: 7, residentBytes: 1e8, cpuSeconds: 1.25, uptimeSeconds: 60.5 };

/** What a scraper makes of it: each line is a comment of a metric, or a sample of the one above. */
function read(text: string): Map<string, number> {
  const samples = new Map<string, number>();
  let described = '';
  for (const line of text.trimEnd().split('\n')) {
    const [, name] = /^# HELP (\w+) \S.*$/.exec(line) ?? [];
    if (name !== undefined) described = name;
    else if (line.startsWith('#')) expect(line).toMatch(new RegExp(`^# TYPE ${described} (gauge|counter|summary)$`));
    else {
      const [, sample = '', value = ''] = /^(\w+(?:\{(?:\w+="(?:[^"\\\n]|\\[\\"n])*",?)+\})?) (\S+)$/.exec(line) ?? [];
      expect(sample, line).toMatch(new RegExp(`^${described}`));
      expect(samples.has(sample), line).toBe(false);
      samples.set(sample, Number(value));
    }
  }
  return samples;
}

it('tells what the status says, in base units', () => {
  const samples = read(metricsText({ ...figures, status }));
  expect(samples.get('kv_info{cluster="shop",cluster_id="abcd",node="2",address="127.0.0.1:7002"}')).toBe(1);
  expect(Object.fromEntries(samples)).toMatchObject({
    ...{ kv_member: 1, kv_leader: 1, kv_leader_known: 1, kv_configuration: 3, kv_members: 1, kv_connected_nodes: 2 },
    ...{ kv_clients: 7, kv_decided_index: 70, kv_applied_index: 69, kv_trimmed_index: 5, kv_flush_seconds_count: 12 },
    ...{ 'kv_flush_seconds{quantile="0.5"}': 0.0005, 'kv_flush_seconds{quantile="0.99"}': 0.002 },
    ...{ kv_space_used_bytes: 1000, kv_space_capacity_bytes: 9000, kv_full_members: 1 },
    ...{ process_resident_memory_bytes: 1e8, process_cpu_seconds_total: 1.25, kv_uptime_seconds: 60.5 },
  });
});

it('leaves out what is not known, and says who is no member', () => {
  const { space: _, ...little } = status;
  const disk = { flushP50Ms: undefined, flushP99Ms: undefined, flushes: 0 };
  const forming: NodeStatus = { ...little, disk, clusterId: undefined, state: 'forming', leader: undefined };
  const samples = read(metricsText({ ...figures, status: forming }));
  expect(Object.fromEntries(samples)).toMatchObject({ kv_member: 0, kv_leader: 0, kv_leader_known: 0 });
  const names = [...samples.keys()];
  expect(names.filter((name) => /quantile|space|catch_up|tls/.test(name))).toEqual([]);
});

it('tells when the certificate of a node with TLS ends', () => {
  const text = metricsText({ ...figures, status, tlsEndSeconds: 1.7e9 });
  expect(read(text).get('kv_tls_certificate_expiry_timestamp_seconds')).toBe(1.7e9);
  expect(text).toContain('# TYPE kv_tls_certificate_expiry_timestamp_seconds gauge\n');
});

it('tells how far a node is that catches up', () => {
  const catchUp = {
    stage: 'state',
    bytesReceived: 10,
    bytesTotal: 40,
    fromIndex: 0,
    targetIndex: 9,
    donors: [],
  } as const;
  const samples = read(metricsText({ ...figures, status: { ...status, state: 'joining', catchUp } }));
  expect(Object.fromEntries(samples)).toMatchObject({
    kv_catch_up_received_bytes: 10,
    kv_catch_up_bytes: 40,
    kv_leader: 0,
  });
});

it('keeps what is in a name out of the format', () => {
  const samples = read(metricsText({ ...figures, clusterName: 'a"b\\c\nd', status }));
  expect([...samples.keys()][0]).toContain('cluster="a\\"b\\\\c\\nd"');
});
