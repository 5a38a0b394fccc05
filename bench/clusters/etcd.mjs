// Three etcd members (Debian: etcd-server), as they come, but for the logs.
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { freePorts, startServer, waitUntil } from '../processes.mjs';
import { leaderFirst } from './omnikv.mjs';

/** What is installed, or `undefined`. */
export function etcdVersion() {
  try {
    return /etcd Version: (\S+)/.exec(execFileSync('etcd', ['--version'], { encoding: 'utf8' }))?.[1];
  } catch {
    return undefined;
  }
}

export async function startEtcd(directory) {
  const ports = await freePorts(6);
  const members = [0, 1, 2].map((at) => ({
    name: `etcd-${at + 1}`,
    client: `127.0.0.1:${ports[at]}`,
    peer: `http://127.0.0.1:${ports[at + 3]}`,
  }));
  const cluster = members.map(({ name, peer }) => `${name}=${peer}`).join(',');
  const servers = members.map(({ name, client, peer }) =>
    startServer(name, directory, 'etcd', [
      ...['--name', name, '--data-dir', join(directory, name)],
      ...['--listen-peer-urls', peer, '--initial-advertise-peer-urls', peer],
      ...['--listen-client-urls', `http://${client}`, '--advertise-client-urls', `http://${client}`],
      ...['--initial-cluster', cluster, '--initial-cluster-state', 'new', '--initial-cluster-token', 'bench'],
      ...['--logger', 'zap', '--log-level', 'error'],
    ]),
  );
  const endpoints = members.map(({ client }) => client);
  const leader = await waitUntil('an etcd member leads', servers, () => findLeader(endpoints));
  return { system: 'etcd', servers, endpoints: leaderFirst(endpoints, leader.at) };
}

async function findLeader(endpoints) {
  const statuses = await Promise.all(
    endpoints.map(async (endpoint) => {
      const response = await fetch(`http://${endpoint}/v3/maintenance/status`, { method: 'POST', body: '{}' });
      return response.json();
    }),
  );
  const at = statuses.findIndex(({ header, leader }) => leader !== undefined && header.member_id === leader);
  return statuses.every(({ leader }) => leader !== undefined) && at >= 0 ? { at } : undefined;
}
