import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { KvClient } from '../../dist/src/index.js';
import { readToolOptions } from '../tool-options.mjs';

const usage = `npm run torture -- [--cycles N]    kills all nodes, or cuts the power of their disk, under load, again and again, and looks for what
was acknowledged
  --cycles N   how often, in turn (50)
Needs root and Linux, for the power cut: ext4 on a loop device that is shut down without a flush (Debian's packages xfsprogs and e2fsprogs).
`;
const values = readToolOptions(usage, { cycles: { type: 'string', default: '50' } }, ({ cycles }) =>
  /^[1-9][0-9]{0,8}$/.test(cycles) ? undefined : `--cycles is ${cycles}: give a whole number from 1 on`,
);
const cycles = Number(values.cycles);
const launcher = fileURLToPath(new URL('../../bin/kv.js', import.meta.url));
const ids = [1, 2, 3];
const ports = { 1: 17101, 2: 17102, 3: 17103 };
const endpoints = ids.map((id) => `127.0.0.1:${ports[id]}`);
const outstanding = 64;
const diskBytes = 2 * 1024 ** 3;

function run(command, ...args) {
  return execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }).trim();
}

/** What keeps this from running here, or undefined. */
function problem() {
  if (process.getuid?.() !== 0) return 'torture needs root, to mount a disk and cut its power';
  for (const [tool, name] of [
    ['xfs_io', 'xfsprogs'],
    ['mkfs.ext4', 'e2fsprogs'],
  ]) {
    try {
      run('which', tool);
    } catch {
      return `torture needs ${tool}: install Debian's package ${name}`;
    }
  }
  return undefined;
}

/** A disk whose power can be cut. */
class Disk {
  constructor(folder) {
    this.image = join(folder, 'disk.img');
    this.mountPoint = join(folder, 'disk');
    mkdirSync(this.mountPoint);
    run('truncate', '-s', String(diskBytes), this.image);
    run('mkfs.ext4', '-q', this.image);
    this.device = run('losetup', '-f', '--show', this.image);
  }

  mount() {
    run('mount', this.device, this.mountPoint);
  }

  /** What was not flushed is gone. */
  cutPower() {
    run('xfs_io', '-x', '-c', 'shutdown', this.mountPoint);
  }

  async unmount() {
    for (let tries = 0; ; tries++) {
      try {
        return run('umount', this.mountPoint);
      } catch (error) {
        // A killed process may hold it for a moment still.
        if (tries === 50) throw error;
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    }
  }

  remove() {
    run('losetup', '-d', this.device);
  }
}

class Nodes {
  constructor(folder, disk) {
    this.folder = folder;
    this.disk = disk;
    this.children = [];
    const nodes = Object.fromEntries(ids.map((id) => [id, `127.0.0.1:${ports[id]}`]));
    writeFileSync(join(folder, 'kv.json'), JSON.stringify({ cluster: 'torture', nodes }));
  }

  start() {
    this.children = ids.map((id) => {
      const log = openSync(join(this.folder, `node-${id}.log`), 'a');
      const data = join(this.disk.mountPoint, `node-${id}`);
      const args = [launcher, 'start', '--id', String(id), '--data', data];
      // Not in this process's group: an interruption from the terminal is not for them.
      return spawn(process.execPath, args, { cwd: this.folder, stdio: ['ignore', log, log], detached: true });
    });
  }

  async kill() {
    const gone = this.children.map((child) =>
      child.exitCode === null && child.signalCode === null
        ? new Promise((exit) => child.once('exit', exit))
        : undefined,
    );
    for (const child of this.children) child.kill('SIGKILL');
    await Promise.all(gone);
    this.children = [];
  }
}

/** Puts keys, and remembers those that were acknowledged, until `isOver`. */
async function load(cycle, acknowledged, state) {
  const client = await KvClient.connect({ endpoints, timeoutMs: 20_000 });
  let number = 0;
  const writer = async () => {
    while (!state.isOver) {
      const key = `${cycle}-${number++}`;
      try {
        await client.put(key, key.repeat(4));
      } catch (error) {
        if (state.isOver) return;
        throw error;
      }
      acknowledged.push(key);
    }
  };
  const writers = Array.from({ length: outstanding }, writer);
  return { client, done: Promise.allSettled(writers) };
}

/** How many acknowledged keys are not there, or not as they were written. */
async function countLost(acknowledged) {
  const client = await KvClient.connect({ endpoints, timeoutMs: 30_000 });
  const found = new Map();
  for await (const { key, value } of client.scan('')) {
    found.set(Buffer.from(key).toString(), Buffer.from(value).toString());
  }
  await client.close();
  return acknowledged.filter((key) => found.get(key) !== key.repeat(4)).length;
}

async function runCycle(cycle, nodes, disk, acknowledged) {
  const isPowerCut = cycle % 2 === 1;
  disk.mount();
  nodes.start();
  const lost = await countLost(acknowledged);
  const before = acknowledged.length;
  const state = { isOver: false };
  const { client, done } = await load(cycle, acknowledged, state);
  // At a moment that nothing in the nodes knows of, but not before there is something to lose.
  const goal = before + 200 + Math.floor(Math.random() * 5000);
  while (acknowledged.length < goal) await new Promise((resolve) => setTimeout(resolve, 1));
  if (isPowerCut) disk.cutPower();
  state.isOver = true;
  await nodes.kill();
  await client.close();
  await done;
  await disk.unmount();
  process.stdout.write(
    `cycle ${cycle}  ${isPowerCut ? 'power cut' : 'kill -9  '}  acknowledged ${acknowledged.length}  lost ${lost}\n`,
  );
  return lost;
}

async function main() {
  const folder = mkdtempSync(join(tmpdir(), 'kv-torture-'));
  const disk = new Disk(folder);
  const nodes = new Nodes(folder, disk);
  const acknowledged = [];
  let lost = 0;
  let isInterrupted = false;
  // The cycle under way ends, what was acknowledged is looked for once more, and nothing is left behind.
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => (isInterrupted = true));
  let done = 0;
  while (done < cycles && lost === 0 && !isInterrupted) lost = await runCycle(++done, nodes, disk, acknowledged);
  if (lost === 0) {
    disk.mount();
    nodes.start();
    lost = await countLost(acknowledged);
    await nodes.kill();
    await disk.unmount();
  }
  disk.remove();
  process.stdout.write(`${done} cycles, ${acknowledged.length} acknowledged, ${lost} lost\n`);
  if (lost > 0) process.stdout.write(`the nodes' logs and disk are kept in ${folder}\n`);
  else rmSync(folder, { recursive: true });
  process.exitCode = lost > 0 ? 1 : 0;
}

const why = problem();
if (why === undefined) await main();
else {
  process.stderr.write(`${why}\n`);
  process.exitCode = 2;
}
