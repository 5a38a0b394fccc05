// etcd members on hosts of their own, one of which is replaced by another while they run, as its manual says: remove, add, start.
import { join } from 'node:path';
import { portsFor } from '../hosts.mjs';
import { startServer, waitUntil } from '../processes.mjs';

export async function startEtcdMembers({ hosts, directory, members, newcomers }) {
  const all = [...members, ...newcomers];
  const ports = await portsFor(hosts, 2 * all.length);
  const clientOf = new Map(all.map((id, at) => [id, hosts.addressOf(id, ports[at])]));
  const peerOf = new Map(all.map((id, at) => [id, `http://${hosts.addressOf(id, ports[all.length + at])}`]));
  const ask = (id, path, body = {}) => askMember(clientOf.get(id), path, body);
  const launch = (id, ids, state) => {
    const [program, ...parameters] = hosts.on(id, [
      ...['etcd', '--name', `etcd-${id}`, '--data-dir', join(directory, `data-${id}`)],
      ...['--listen-peer-urls', peerOf.get(id), '--initial-advertise-peer-urls', peerOf.get(id)],
      ...[
        '--listen-client-urls',
        `http://${clientOf.get(id)}`,
        '--advertise-client-urls',
        `http://${clientOf.get(id)}`,
      ],
      ...['--initial-cluster', ids.map((each) => `etcd-${each}=${peerOf.get(each)}`).join(',')],
      ...[
        '--initial-cluster-state',
        state,
        '--initial-cluster-token',
        'bench',
        '--logger',
        'zap',
        '--log-level',
        'error',
      ],
    ]);
    return startServer(`etcd-${id}`, directory, program, parameters);
  };
  const servers = new Map(members.map((id) => [id, launch(id, members, 'new')]));
  const findLeader = () =>
    waitUntil('an etcd member leads', [...servers.values()], async () => {
      const statuses = await Promise.all(members.map((id) => ask(id, 'maintenance/status')));
      const at = statuses.findIndex(({ header, leader }) => leader !== undefined && header.member_id === leader);
      return statuses.every(({ leader }) => leader !== undefined) && members[at];
    });
  await findLeader();
  return {
    generator: 'etcd',
    servers,
    findLeader,
    isLeader: async (id) => {
      const { header, leader } = await ask(id, 'maintenance/status');
      return header.member_id === leader;
    },
    endpointOf: (id) => clientOf.get(id),
    goal: async (leader) => Number((await ask(leader, 'maintenance/status')).raftIndex),
    async replace({ leader, removed, onAsked }) {
      onAsked();
      let ids = members;
      const asked = removed.includes(leader) ? members.find((id) => !removed.includes(id)) : leader;
      const listed = (await ask(asked, 'cluster/member/list')).members;
      for (const [at, id] of removed.entries()) {
        await ask(asked, 'cluster/member/remove', { ID: listed.find(({ name }) => name === `etcd-${id}`).ID });
        const newcomer = newcomers[at];
        // With the leader gone it takes an election first.
        await waitUntil('etcd takes a newcomer', [servers.get(asked)], () =>
          ask(asked, 'cluster/member/add', { peerURLs: [peerOf.get(newcomer)] }),
        );
        ids = [...ids.filter((each) => each !== id), newcomer];
        servers.set(newcomer, launch(newcomer, ids, 'existing'));
      }
    },
    /** Who gives what is not told: a leader alone sends snapshots. */
    async look(id, goal) {
      const { raftAppliedIndex, isLearner } = await ask(id, 'maintenance/status');
      return { isComplete: Number(raftAppliedIndex ?? 0) >= goal && !isLearner, stage: 'etcd', donors: [] };
    },
    toggleProfiles() {},
    async close() {},
  };
}

async function askMember(endpoint, path, body) {
  const response = await fetch(`http://${endpoint}/v3/${path}`, {
    method: 'POST',
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(10_000),
  });
  const answer = await response.json();
  if (!response.ok) throw new Error(`etcd at ${endpoint} answers ${path} with ${JSON.stringify(answer)}`);
  return answer;
}
