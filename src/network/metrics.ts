import type { NodeStatus } from '../wire/client-message.ts';

/** What a node tells of itself besides its status. */
export interface NodeFigures {
  readonly clusterName: string;
  readonly status: NodeStatus;
  /** Clients connected. */
  readonly clientCount: number;
  readonly residentBytes: number;
  /** Processor time of the process so far. */
  readonly cpuSeconds: number;
  /** Since the process started. */
  readonly uptimeSeconds: number;
  /** When the certificate that is shown ends, or its authority if that is earlier, seconds since 1970. Undefined without TLS. */
  readonly tlsEndSeconds?: number | undefined;
}

type Labels = Readonly<Record<string, string | number>>;

/** A figure for each set of labels; none where it is not known. */
interface Metric {
  readonly name: string;
  readonly type: 'gauge' | 'counter' | 'summary';
  readonly help: string;
  readonly samples: readonly (readonly [labels: Labels, value: number | undefined, suffix?: string])[];
}

/** What goes with {@link metricsText}. */
export const metricsContentType = 'text/plain; version=0.0.4; charset=utf-8';

/** All figures of a node in the text format that Prometheus and its kind read. Names stay what they are; new ones may come. */
export function metricsText(figures: NodeFigures): string {
  const metrics = [
    ...roleMetrics(figures),
    ...logMetrics(figures),
    ...roomMetrics(figures),
    ...tlsMetrics(figures),
    ...processMetrics(figures),
  ];
  return metrics.map(textOf).join('');
}

function roleMetrics({ clusterName, status, clientCount }: NodeFigures): Metric[] {
  const { nodeId, address, state, leader, configurationId, members, connected } = status;
  const clusterId = status.clusterId ?? '';
  const isMember = state === 'member';
  return [
    gauge('kv_info', 'Which node this is; always 1.', 1, {
      cluster: clusterName,
      cluster_id: clusterId,
      node: nodeId,
      address,
    }),
    gauge(
      'kv_member',
      '1 if the node votes; 0 if it forms a cluster, catches up as a newcomer, or stands by.',
      isMember ? 1 : 0,
    ),
    gauge('kv_leader', '1 if the node leads.', isMember && leader === nodeId ? 1 : 0),
    gauge('kv_leader_known', '1 if the node follows a leader, or is it.', leader === undefined ? 0 : 1),
    gauge(
      'kv_configuration',
      'The number of the configuration: one more with each change of members.',
      configurationId,
    ),
    gauge('kv_members', 'How many members the configuration has.', members.length),
    gauge('kv_connected_nodes', 'Nodes that this one has a link with.', connected.length),
    gauge('kv_clients', 'Clients that are connected.', clientCount),
  ];
}

function logMetrics({ status: { decidedIndex, appliedIndex, trimmedIndex, disk, catchUp } }: NodeFigures): Metric[] {
  const seconds = (milliseconds: number | undefined) => milliseconds && milliseconds / 1000;
  return [
    gauge('kv_decided_index', 'The log up to here is decided, as far as the node knows.', decidedIndex),
    gauge('kv_applied_index', 'The log up to here is applied.', appliedIndex),
    gauge('kv_trimmed_index', 'The log below is gone: only state is left of it.', trimmedIndex),
    {
      ...{ name: 'kv_flush_seconds', type: 'summary' },
      help: 'How long the last 1,024 flushes of the log took, at most.',
      samples: [
        [{ quantile: 0.5 }, seconds(disk.flushP50Ms)],
        [{ quantile: 0.99 }, seconds(disk.flushP99Ms)],
        [{}, disk.flushes, '_count'],
      ],
    },
    gauge('kv_catch_up_received_bytes', 'What has come, while the node catches up.', catchUp?.bytesReceived),
    gauge('kv_catch_up_bytes', 'What there is to come, while the node catches up and knows that.', catchUp?.bytesTotal),
  ];
}

function roomMetrics({ status: { space, fullNodes } }: NodeFigures): Metric[] {
  return [
    gauge('kv_space_used_bytes', 'What the data takes.', space?.usedBytes),
    gauge('kv_space_capacity_bytes', 'What it may take.', space?.capacityBytes),
    gauge('kv_full_members', 'Members without space: with one or more the cluster takes no puts.', fullNodes.length),
  ];
}

function tlsMetrics({ tlsEndSeconds }: NodeFigures): Metric[] {
  const help =
    'When the certificate of the node ends, or its authority if that is earlier, since 1970: then nobody connects anew.';
  return [gauge('kv_tls_certificate_expiry_timestamp_seconds', help, tlsEndSeconds)];
}

function processMetrics({ residentBytes, cpuSeconds, uptimeSeconds }: NodeFigures): Metric[] {
  return [
    gauge('process_resident_memory_bytes', 'Resident memory of the process.', residentBytes),
    counter('process_cpu_seconds_total', 'Processor time of the process.', cpuSeconds),
    gauge('kv_uptime_seconds', 'Since the process started.', uptimeSeconds),
  ];
}

function gauge(name: string, help: string, value: number | undefined, labels: Labels = {}): Metric {
  return { name, type: 'gauge', help, samples: [[labels, value]] };
}

function counter(name: string, help: string, value: number | undefined): Metric {
  return { name, type: 'counter', help, samples: [[{}, value]] };
}

function textOf({ name, type, help, samples }: Metric): string {
  const lines = samples.flatMap(([labels, value, suffix = '']) =>
    value === undefined ? [] : [`${name}${suffix}${labelsText(labels)} ${value}\n`],
  );
  return lines.length === 0 ? '' : `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${lines.join('')}`;
}

function labelsText(labels: Labels): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escapeLabel(`${value}`)}"`);
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
}

function escapeLabel(value: string): string {
  return value.replace(/[\\"\n]/g, (character) => (character === '\n' ? '\\n' : `\\${character}`));
}
