import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const launcher = resolve('bin/kv.js');

/** What a finished command left behind. */
export interface CommandResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** One `kv start` process, or none while it is down. */
interface NodeProcess {
  readonly child: ChildProcess;
  readonly exited: Promise<number | null>;
  /** All that it wrote is here. */
  readonly read: Promise<void>;
  stdout: string;
  stderr: string;
}

/** Real `kv start` processes in a directory of their own, on free ports, with a cluster file. */
export class ProcessCluster {
  readonly directory: string;
  readonly ports: ReadonlyMap<number, number>;
  readonly #initial: readonly number[];
  readonly #nodes = new Map<number, NodeProcess>();

  private constructor(directory: string, ports: ReadonlyMap<number, number>, initial: readonly number[]) {
    this.directory = directory;
    this.ports = ports;
    this.#initial = initial;
  }

  /** Makes directory and cluster file; `standbys` are nodes that are not in the file. Starts nothing. */
  static async create(initial: readonly number[], standbys: readonly number[] = []): Promise<ProcessCluster> {
    const directory = mkdtempSync(join(tmpdir(), 'kv-process-'));
    const ports = await freePorts([...initial, ...standbys]);
    const nodes = Object.fromEntries(initial.map((id) => [id, `127.0.0.1:${ports.get(id)}`]));
    writeFileSync(join(directory, 'kv.json'), JSON.stringify({ cluster: 'process-test', nodes }));
    return new ProcessCluster(directory, ports, initial);
  }

  address(id: number): string {
    return `127.0.0.1:${this.ports.get(id)}`;
  }

  get endpoints(): string[] {
    return this.#initial.map((id) => this.address(id));
  }

  dataDirectory(id: number): string {
    return join(this.directory, `data-${id}`);
  }

  /** Starts a node and waits until it says that it listens. */
  async start(...ids: number[]): Promise<void> {
    await Promise.all(ids.map((id) => this.#startOne(id)));
  }

  /** Starts one node with more arguments. */
  startWith(id: number, ...more: string[]): Promise<void> {
    return this.#startOne(id, { more });
  }

  /** Starts a node behind other words, such as those of a tracer, with more arguments. */
  startUnder(id: number, words: readonly string[], more: readonly string[] = []): Promise<void> {
    return this.#startOne(id, { words, more });
  }

  /** Waits until a node ends by itself; gives its exit code (`null`: by a signal) and what it said. */
  async ended(id: number): Promise<{ readonly code: number | null; readonly stderr: string }> {
    const node = this.#nodes.get(id);
    if (!node) throw new Error(`node ${id} does not run`);
    const code = await node.exited;
    await node.read;
    this.#nodes.delete(id);
    return { code, stderr: node.stderr };
  }

  /** Ends a node without warning, as a crash does. */
  async kill(id: number): Promise<void> {
    const node = this.#nodes.get(id);
    if (!node) throw new Error(`node ${id} does not run`);
    this.#nodes.delete(id);
    node.child.kill('SIGKILL');
    await node.exited;
  }

  /** Asks a node to end; gives its exit code. */
  async stop(id: number): Promise<number | null> {
    const node = this.#nodes.get(id);
    if (!node) throw new Error(`node ${id} does not run`);
    this.#nodes.delete(id);
    node.child.kill('SIGTERM');
    return node.exited;
  }

  pid(id: number): number {
    const pid = this.#nodes.get(id)?.child.pid;
    if (pid === undefined) throw new Error(`node ${id} does not run`);
    return pid;
  }

  signal(id: number, signal: NodeJS.Signals): void {
    this.#nodes.get(id)?.child.kill(signal);
  }

  /** Nodes that were started and did not end by themselves. */
  get running(): number[] {
    return [...this.#nodes]
      .filter(([, { child }]) => child.exitCode === null && child.signalCode === null)
      .map(([id]) => id);
  }

  stderr(id: number): string {
    return this.#nodes.get(id)?.stderr ?? '';
  }

  /** Nodes that ended though nobody killed or stopped them, with the last that they said. */
  deaths(): string[] {
    return [...this.#nodes].flatMap(([id, { child, stderr }]) =>
      child.exitCode === null && child.signalCode === null
        ? []
        : [`node ${id} ended (${child.signalCode ?? child.exitCode}): ${stderr.slice(-500)}`],
    );
  }

  /** Runs `kv` with the cluster's file; other endpoints by `--endpoints`. */
  kv(...args: string[]): Promise<CommandResult> {
    return runKv(args, this.directory);
  }

  async status(): Promise<ClusterView> {
    const { code, stdout, stderr } = await this.kv('status', '--json');
    if (code !== 0) throw new Error(`kv status: exit ${code}: ${stderr}${stdout}`);
    return JSON.parse(stdout) as ClusterView;
  }

  /** Polls the status until `holds`, at most `timeoutMs`. */
  async until(holds: (view: ClusterView) => boolean, timeoutMs = 15_000): Promise<ClusterView> {
    const deadline = Date.now() + timeoutMs;
    let last: unknown;
    while (Date.now() < deadline) {
      try {
        const view = await this.status();
        if (holds(view)) return view;
        last = JSON.stringify(view);
      } catch (error) {
        last = error;
      }
    }
    throw new Error(`not so within ${timeoutMs} ms; last seen: ${String(last)}`);
  }

  async leader(): Promise<number> {
    const view = await this.until(({ leader }) => leader !== null && leader !== undefined);
    return view.leader as number;
  }

  async destroy(): Promise<void> {
    for (const id of [...this.#nodes.keys()]) await this.kill(id);
    rmSync(this.directory, { recursive: true, force: true });
  }

  async #startOne(
    id: number,
    { words = [], more = [] }: { readonly words?: readonly string[]; readonly more?: readonly string[] } = {},
  ): Promise<void> {
    if (this.#nodes.has(id)) throw new Error(`node ${id} runs already`);
    const args = ['start', '--id', String(id), '--data', this.dataDirectory(id)];
    if (!this.#initial.includes(id)) args.push('--address', this.address(id));
    const all = [...words, process.execPath, launcher, ...args, ...more];
    const [command, ...rest] = all as [string, ...string[]];
    const child = spawn(command, rest, {
      cwd: this.directory,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const exited = new Promise<number | null>((resolveExit) => child.once('exit', resolveExit));
    const read = new Promise<void>((resolveRead) => child.once('close', () => resolveRead()));
    const node: NodeProcess = { child, exited, read, stdout: '', stderr: '' };
    this.#nodes.set(id, node);
    child.stderr.on('data', (data) => {
      node.stderr += data;
    });
    await new Promise<void>((resolveStart, reject) => {
      child.stdout.on('data', (data) => {
        node.stdout += data;
        if (node.stdout.includes('listens on')) resolveStart();
      });
      void read.then(() => reject(new Error(`node ${id} ended with ${child.exitCode}: ${node.stderr}`)));
    });
  }
}

/** What `kv status --json` says. */
export interface ClusterView {
  readonly clusterId: string;
  readonly configurationId: number;
  readonly leader: number | null | undefined;
  readonly fullNodes: readonly number[];
  readonly members: readonly {
    readonly id: number;
    readonly address: string;
    readonly role: string;
    readonly decidedIndex: number | null;
    readonly appliedIndex: number | null;
    readonly trimmedIndex: number | null;
    readonly lag: number | null;
    readonly catchUp: object | null;
    readonly member: boolean;
    readonly state: string | null;
    readonly disk: { readonly flushP99Ms: number | null; readonly flushes: number } | null;
    readonly space: { readonly level: string; readonly usedBytes: number; readonly capacityBytes: number } | null;
  }[];
  readonly history: readonly { readonly configurationId: number; readonly members: readonly number[] }[];
}

/** Runs a `kv` command to its end. */
export function runKv(args: readonly string[], cwd: string, input?: string | Buffer): Promise<CommandResult> {
  return new Promise((resolveRun) => {
    const child = execFile(
      process.execPath,
      [launcher, ...args],
      { cwd, encoding: 'utf8' },
      (error, stdout, stderr) => {
        const code = error ? (typeof error.code === 'number' ? error.code : -1) : 0;
        resolveRun({ code, stdout, stderr });
      },
    );
    child.stdin?.end(input ?? '');
  });
}

async function freePorts(ids: readonly number[]): Promise<Map<number, number>> {
  const servers = ids.map(() => createServer());
  const ports = await Promise.all(
    servers.map(
      (server) =>
        new Promise<number>((resolvePort) => {
          server.listen(0, '127.0.0.1', () => resolvePort((server.address() as { port: number }).port));
        }),
    ),
  );
  await Promise.all(servers.map((server) => new Promise((closed) => server.close(closed))));
  return new Map(ids.map((id, at) => [id, ports[at] as number]));
}
