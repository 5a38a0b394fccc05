import { type ChildProcess, spawn } from 'node:child_process';
import type { Readable } from 'node:stream';
import { CommandError } from '../exit-codes.ts';
import { LineSplitter } from './line-splitter.ts';

/** How long a node may take to stop before it is killed, milliseconds. */
const stopGraceMs = 10_000;

/** How the nodes are started, and where what they print goes. */
export interface LocalClusterOptions {
  /** Program and first arguments; `start --id N …` follows. */
  readonly launcher: readonly [string, ...string[]];
  readonly nodeIds: readonly number[];
  /** Arguments of one node after `start --id N`. */
  readonly nodeArguments: (nodeId: number) => readonly string[];
  readonly onOutput: (line: string) => void;
  readonly onMessage: (line: string) => void;
}

/** A process that ended, as its exit told. */
interface NodeEnd {
  readonly nodeId: number;
  readonly how: string;
}

/** The nodes of a cluster as child processes of this one. */
export class LocalCluster {
  readonly #options: LocalClusterOptions;
  readonly #running = new Map<number, ChildProcess>();
  readonly #listening = new Set<number>();
  readonly #ended: Promise<void>;
  #isStopping = false;

  /** Starts all nodes. */
  constructor(options: LocalClusterOptions) {
    this.#options = options;
    const ends = options.nodeIds.map((nodeId) => this.#spawn(nodeId));
    this.#ended = Promise.all(ends).then(() => undefined);
  }

  /** Resolves when no node runs any more. */
  get ended(): Promise<void> {
    return this.#ended;
  }

  /** The nodes that have said that they listen, and run. */
  get listening(): ReadonlySet<number> {
    return this.#listening;
  }

  /** Stops all nodes cleanly. Throws {@link CommandError} if one had to be killed. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    for (const child of this.#running.values()) child.kill('SIGTERM');
    const killed: number[] = [];
    const kill = setTimeout(() => {
      for (const [nodeId, child] of this.#running) {
        killed.push(nodeId);
        child.kill('SIGKILL');
      }
    }, stopGraceMs);
    await this.#ended;
    clearTimeout(kill);
    if (killed.length > 0) {
      throw new CommandError(
        'internal',
        'killed',
        `killed after ${stopGraceMs} ms without a clean stop: node ${killed.join(', ')}`,
      );
    }
  }

  async #spawn(nodeId: number): Promise<void> {
    const [program, ...first] = this.#options.launcher;
    const child = spawn(
      program,
      // A pipe to its standard input, held open by us: the node stops when we are gone, even if we were killed.
      [...first, 'start', '--id', `${nodeId}`, '--stop-with-stdin', ...this.#options.nodeArguments(nodeId)],
      // A process group of its own: Ctrl-C in the terminal reaches us alone, and we tell the nodes, once.
      { stdio: 'pipe', detached: true },
    );
    this.#running.set(nodeId, child);
    // A node that has just died breaks this pipe; its end is told by its exit.
    child.stdin.on('error', () => undefined);
    // The first that kv start prints there is where it listens.
    child.stdout.once('data', () => this.#listening.add(nodeId));
    forwardLines(child.stdout, nodeId, this.#options.onOutput);
    forwardLines(child.stderr, nodeId, this.#options.onMessage);
    const end = await endOf(nodeId, child);
    this.#running.delete(nodeId);
    this.#listening.delete(nodeId);
    if (!this.#isStopping) this.#tellEnd(end);
  }

  #tellEnd({ nodeId, how }: NodeEnd): void {
    const { nodeIds, nodeArguments, onMessage } = this.#options;
    const left = `still running: ${this.#running.size} of ${nodeIds.length} nodes`;
    const remedy = ['kv start --id', nodeId, ...nodeArguments(nodeId)].join(' ');
    onMessage(`node ${nodeId} ended ${how}; ${left}; to bring it back: ${remedy}`);
  }
}

/** Resolves when the process has ended and all it wrote was read. */
function endOf(nodeId: number, child: ChildProcess): Promise<NodeEnd> {
  return new Promise((resolve) => {
    child.once('error', (error) => resolve({ nodeId, how: `before it began (${error.message})` }));
    child.once('close', (code, signal) => {
      resolve({ nodeId, how: signal === null ? `with exit code ${code}` : `by ${signal}` });
    });
  });
}

function forwardLines(stream: Readable, nodeId: number, print: (line: string) => void): void {
  const lines = new LineSplitter((line) => print(`${nodeId} | ${line}`));
  stream.setEncoding('utf8');
  stream.on('data', (text: string) => lines.push(text));
  stream.once('end', () => lines.end());
}
