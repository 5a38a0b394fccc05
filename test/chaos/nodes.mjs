// `kv start` processes, one on each host: started, killed, stopped in their tracks, and robbed of their disk.
import { execFile } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startServer, throwIfEnded } from '../../bench/processes.mjs';

const launcher = fileURLToPath(new URL('../../bin/kv.js', import.meta.url));
const port = 7001;

export class Nodes {
  #folder;
  #hosts;
  #running = new Map();
  #paused = new Set();

  /** The first three hosts form the cluster; nodes on the others stand by. */
  constructor(folder, hosts) {
    this.#folder = folder;
    this.#hosts = hosts;
    const founders = Object.fromEntries([1, 2, 3].map((id) => [id, this.address(id)]));
    writeFileSync(join(folder, 'kv.json'), JSON.stringify({ cluster: 'chaos', nodes: founders }));
  }

  get ids() {
    return this.#hosts.all();
  }

  /** Those that run, paused or not. */
  get running() {
    return [...this.#running.keys()];
  }

  get paused() {
    return [...this.#paused];
  }

  address(id) {
    return `${this.#hosts.address(id)}:${port}`;
  }

  get endpoints() {
    return this.ids.map((id) => this.address(id));
  }

  start(id) {
    if (this.#running.has(id)) return;
    const parameters = [...this.#hosts.on(id), process.execPath, launcher, 'start', '--insecure', '--id', String(id)];
    parameters.push('--data', this.#data(id), '--address', this.address(id));
    const [program, ...rest] = parameters;
    this.#running.set(id, startServer(`node-${id}`, this.#folder, program, rest));
  }

  async kill(id) {
    const server = this.#running.get(id);
    if (!server) return;
    this.#running.delete(id);
    this.#paused.delete(id);
    server.child.kill('SIGKILL');
    await server.ended;
  }

  pause(id) {
    if (!this.#running.has(id)) return;
    this.#running.get(id).child.kill('SIGSTOP');
    this.#paused.add(id);
  }

  resume(id) {
    this.#running.get(id)?.child.kill('SIGCONT');
    this.#paused.delete(id);
  }

  /** Of a node that does not run. */
  wipe(id) {
    rmSync(this.#data(id), { recursive: true });
  }

  /** Throws if a node ended that nobody killed: it says so itself when something is not as it must be. */
  async check() {
    await throwIfEnded([...this.#running.values()]);
  }

  /** Runs `kv` to its end: `{code, stdout, stderr}`. */
  kv(...words) {
    return new Promise((resolve) => {
      const parameters = [launcher, ...words, '--endpoints', this.endpoints.join(',')];
      execFile(process.execPath, parameters, { cwd: this.#folder, encoding: 'utf8' }, (error, stdout, stderr) =>
        resolve({ code: error ? (error.code ?? error.signal) : 0, stdout, stderr }),
      );
    });
  }

  async status() {
    const { code, stdout, stderr } = await this.kv('status', '--json');
    if (code !== 0) throw new Error(`kv status: exit ${code}: ${stderr}`);
    return JSON.parse(stdout);
  }

  #data(id) {
    return join(this.#folder, `data-${id}`);
  }
}
