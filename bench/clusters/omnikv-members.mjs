// Nodes of ours on hosts of their own, some of which are replaced by others while they run.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { KvClient } from '../../dist/src/index.js';
import { portsFor } from '../hosts.mjs';
import { startServer, waitUntil } from '../processes.mjs';

/**
 * `replace` does all that an operator does: starts the newcomers, waits until they answer, changes the members. `look` says how
 * far a newcomer is.
 */
export async function startOmnikvMembers({ root, hosts, directory, members, newcomers, profile }) {
  const all = [...members, ...newcomers];
  const ports = await portsFor(hosts, all.length);
  const addresses = new Map(all.map((id, at) => [id, hosts.addressOf(id, ports[at])]));
  const nodes = Object.fromEntries(members.map((id) => [id, addresses.get(id)]));
  writeFileSync(join(directory, 'kv.json'), JSON.stringify({ cluster: 'bench', nodes }));
  const launch = (id, more) => {
    const own = [
      join(root, 'bin/kv.js'),
      'start',
      '--id',
      `${id}`,
      '--data',
      join(directory, `data-${id}`),
      '--insecure',
    ];
    const [program, ...parameters] = hosts.on(id, [process.execPath, ...own, ...more]);
    const environment = { KV_CONFIG: '', KV_ENDPOINTS: '', ...(profile && profiling(profile, id)) };
    return startServer(`node-${id}`, directory, program, parameters, environment);
  };
  const servers = new Map(members.map((id) => [id, launch(id, [])]));
  const client = await connectTo([...addresses.values()].slice(0, members.length), servers);
  const findLeader = () =>
    waitUntil('a node of ours leads', [...servers.values()], async () => {
      const status = await client.clusterStatus();
      return status.members.every(({ role }) => role === 'leader' || role === 'follower') && status.leader;
    });
  await findLeader();
  // A connection that stays: to be asked often must not cost the newcomer much.
  const watchers = new Map();
  const watcherOf = async (id) => {
    if (!watchers.has(id))
      watchers.set(id, await KvClient.connect({ endpoints: [addresses.get(id)], timeoutMs: 1000 }));
    return watchers.get(id);
  };
  return {
    generator: 'omnikv-steady',
    servers,
    findLeader,
    isLeader: async (id) => (await client.statusOf(addresses.get(id))).leader === id,
    endpointOf: (id) => addresses.get(id),
    /** What a newcomer must have: all that is decided now. */
    goal: async (leader) => (await client.statusOf(addresses.get(leader))).decidedIndex,
    async replace({ removed, onAsked }) {
      for (const id of newcomers) servers.set(id, launch(id, ['--address', addresses.get(id)]));
      for (const id of newcomers) {
        await waitUntil(`node ${id} answers`, [servers.get(id)], () => client.statusOf(addresses.get(id)));
      }
      onAsked();
      const kept = members.filter((id) => !removed.includes(id));
      const targets = [...kept, ...newcomers].map((id) => ({ id, address: addresses.get(id) }));
      await client.reconfigure(targets, { timeoutMs: 300_000 });
    },
    /** Begins, or ends, the profiles of all that run. */
    toggleProfiles() {
      if (profile === undefined) return;
      for (const { child, hasEnded } of servers.values()) if (!hasEnded) child.kill('SIGUSR2');
    },
    async look(id, goal) {
      const seen = await (await watcherOf(id)).status();
      // A client of a node that stands by goes on to the members.
      const status = seen.nodeId === id ? seen : await client.statusOf(addresses.get(id));
      return {
        isComplete: status.state === 'member' && status.appliedIndex >= goal,
        stage: status.catchUp?.stage ?? status.state,
        donors: status.catchUp?.donors ?? [],
      };
    },
    async close() {
      await Promise.all([client, ...watchers.values()].map((each) => each.close()));
    },
  };
}

function connectTo(endpoints, servers) {
  return waitUntil('a node of ours answers', [...servers.values()], () => KvClient.connect({ endpoints }));
}

function profiling(directory, id) {
  const preload = fileURLToPath(new URL('../profiler.cjs', import.meta.url));
  return { NODE_OPTIONS: `--require ${preload}`, KV_PROFILE: join(directory, `node-${id}`) };
}
