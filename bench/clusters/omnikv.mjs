// Three nodes of ours, of a built tree: the working tree's or that of another commit.
import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { freePorts, startServer, waitUntil } from '../processes.mjs';

const run = promisify(execFile);

/** `root`: where bin/kv.js and dist are. */
export async function startOmnikv(directory, root) {
  const endpoints = (await freePorts(3)).map((port) => `127.0.0.1:${port}`);
  const nodes = Object.fromEntries(endpoints.map((endpoint, at) => [at + 1, endpoint]));
  writeFileSync(join(directory, 'kv.json'), JSON.stringify({ cluster: 'bench', nodes }));
  const launcher = join(root, 'bin/kv.js');
  const environment = { KV_CONFIG: '', KV_ENDPOINTS: '' };
  const servers = [1, 2, 3].map((id) =>
    startServer(`node-${id}`, directory, process.execPath, [launcher, 'start', '--id', `${id}`], environment),
  );
  const leader = await waitUntil('a node of ours leads', servers, async () => {
    const options = { cwd: directory, env: { ...process.env, ...environment } };
    const { stdout } = await run(process.execPath, [launcher, 'status', '--json'], options);
    const status = JSON.parse(stdout);
    return status.members.every(({ role }) => role === 'leader' || role === 'follower') && status.leader;
  });
  return { system: 'omnikv', servers, endpoints: leaderFirst(endpoints, leader - 1), root };
}

/** The same treatment for every system: the first connection goes to the leader, the others to the others in turn. */
export function leaderFirst(endpoints, leaderAt) {
  return [...endpoints.slice(leaderAt), ...endpoints.slice(0, leaderAt)];
}
