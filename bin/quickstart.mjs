// The main job on real processes: three nodes start, a key is put and read, the leader is killed and the store goes on, a
// fourth node takes the place of the dead one, and the key is still there. Every step prints the command and its output.
// Ends by itself: 0 if all went as it should, 1 at the first thing that did not.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const kvPath = fileURLToPath(new URL('kv.js', import.meta.url));
const host = '127.0.0.1';
const startTimeoutMs = 20_000;
const stopTimeoutMs = 10_000;
const pollMs = 50;

/** Running nodes by id. */
const nodes = new Map();

async function main() {
  const folder = await mkdtemp(join(tmpdir(), 'kv-quickstart-'));
  try {
    await tour(folder);
  } finally {
    await stopAll();
    await rm(folder, { recursive: true, force: true });
  }
  say('Done: nothing was lost, and the store went on. All processes are stopped and their data is removed.');
}

async function tour(folder) {
  const setup = await chooseSetup(folder);

  say('Three nodes start');
  for (const id of [1, 2, 3]) await startNode(setup, id, []);
  const first = await statusWhen(setup, 'there is a leader', ({ leader }) => leader !== null);

  say('A key is put and read');
  expectMatch(await kv(setup, ['put', 'greeting', 'hello']), /^revision [0-9]+\n$/);
  expectEqual(await kv(setup, ['get', 'greeting']), 'hello\n');

  const dead = first.leader;
  say(`The leader, node ${dead}, is killed with SIGKILL`);
  const killedAtMs = performance.now();
  await killNode(dead);
  expectMatch(await kv(setup, ['put', 'after-the-crash', 'still here']), /^revision [0-9]+\n$/);
  say(`The store took the next write ${Math.round(performance.now() - killedAtMs)} ms after the kill`);
  expectEqual(await kv(setup, ['get', 'greeting']), 'hello\n');

  say(`Node 4 takes the place of node ${dead}`);
  await startNode(setup, 4, setup.newcomerArguments);
  const members = [1, 2, 3, 4].filter((id) => id !== dead);
  expectMatch(
    await kv(setup, ['member', 'replace', `${dead}`, setup.newcomer, '--yes']),
    /^configuration 2 with members /m,
  );
  await statusWhen(setup, 'the new members are complete', (status) => isComplete(status, members));

  say('Everything is there, on the new members too');
  expectEqual(await kv(setup, ['get', 'greeting', '--endpoints', setup.addresses[3]]), 'hello\n');
  expectEqual(await kv(setup, ['get', 'after-the-crash']), 'still here\n');
  await kv(setup, ['status']);
}

/** The default ports with no file at all, or free ports with a cluster file where one of them is taken. */
async function chooseSetup(folder) {
  const usual = [7001, 7002, 7003, 7004];
  const areFree = (await Promise.all(usual.map(isFree))).every(Boolean);
  if (areFree) {
    return { folder, addresses: usual.map((port) => `${host}:${port}`), newcomer: '4', newcomerArguments: [] };
  }
  const addresses = (await freePorts(4)).map((port) => `${host}:${port}`);
  const file = { cluster: 'quickstart', nodes: { 1: addresses[0], 2: addresses[1], 3: addresses[2] } };
  await writeFile(join(folder, 'kv.json'), `${JSON.stringify(file, undefined, 2)}\n`);
  say(`One of the ports ${usual.join(', ')} is taken, so a kv.json names others: ${addresses.join(', ')}`);
  return { folder, addresses, newcomer: `4=${addresses[3]}`, newcomerArguments: ['--address', addresses[3]] };
}

function isFree(port) {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, host, () => server.close(() => resolve(true)));
  });
}

/** Distinct free ports: all are held at once before any is let go. */
async function freePorts(count) {
  const servers = Array.from({ length: count }, () => createServer().listen(0, host));
  await Promise.all(servers.map((server) => once(server, 'listening')));
  const ports = servers.map((server) => server.address().port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

/** Starts a node, and resolves when it says that it listens. */
async function startNode({ folder }, id, more) {
  const child = spawnKv(folder, ['start', '--id', `${id}`, ...more]);
  const node = { id, child, isExpectedToEnd: false, stderr: '' };
  nodes.set(id, node);
  child.stderr.on('data', (text) => {
    node.stderr = (node.stderr + text).slice(-10_000);
  });
  node.closed = once(child, 'close').then(([code, signal]) => {
    if (node.isExpectedToEnd) return;
    failure ??= new Error(`node ${id} ended by itself (${signal ?? code}); it said:\n${node.stderr}`);
  });
  await withTimeout(readLine(child), startTimeoutMs, `node ${id} does not listen; it said:\n${node.stderr}`);
  throwFailure();
}

/** The first line of a process, printed; resolves also when the process ends without one. */
function readLine(child) {
  return new Promise((resolve) => {
    let text = '';
    child.stdout.on('data', (piece) => {
      text += piece;
      if (!text.includes('\n')) return;
      print(text.slice(0, text.indexOf('\n') + 1));
      text = '';
      resolve();
    });
    child.once('close', resolve);
  });
}

async function killNode(id) {
  const node = nodes.get(id);
  print(`$ kill -9 ${node.child.pid}\n`);
  node.isExpectedToEnd = true;
  nodes.delete(id);
  node.child.kill('SIGKILL');
  await node.closed;
}

/** Stops what still runs: cleanly, and by force what does not. */
async function stopAll() {
  const running = [...nodes.values()];
  for (const node of running) {
    node.isExpectedToEnd = true;
    node.child.kill('SIGTERM');
  }
  for (const node of running) {
    const force = setTimeout(() => node.child.kill('SIGKILL'), stopTimeoutMs);
    await node.closed;
    clearTimeout(force);
  }
}

/** Runs a command to its end, prints it and what it wrote, and returns its standard output. Throws unless it exits with 0. */
async function kv({ folder }, words) {
  const result = await runKv(folder, words, true);
  if (result.code !== 0) throw new Error(`kv ${words.join(' ')} exited with ${result.code}`);
  return result.stdout;
}

async function runKv(folder, words, isShown) {
  const child = spawnKv(folder, words, isShown);
  let stdout = '';
  child.stdout.on('data', (text) => {
    stdout += text;
    if (isShown) print(text);
  });
  child.stderr.on('data', (text) => {
    if (isShown) print(text);
  });
  const [code] = await once(child, 'close');
  throwFailure();
  return { code, stdout };
}

/** Polls `kv status --json` until it fits, then shows `kv status`. */
async function statusWhen(setup, what, fits) {
  const deadlineMs = performance.now() + startTimeoutMs;
  for (;;) {
    const { code, stdout } = await runKv(setup.folder, ['status', '--json', '--timeout', '2s'], false);
    if (code === 0 && fits(JSON.parse(stdout))) {
      await kv(setup, ['status']);
      return JSON.parse(stdout);
    }
    if (performance.now() > deadlineMs)
      throw new Error(`waited ${startTimeoutMs} ms until ${what}; last status: ${stdout}`);
    await delay(pollMs);
  }
}

function isComplete({ configurationId, leader, members }, ids) {
  const own = members.filter(({ id }) => ids.includes(id));
  const works = own.every(({ role }) => role === 'leader' || role === 'follower');
  return configurationId === 2 && leader !== null && own.length === ids.length && works;
}

function spawnKv(folder, words, isShown = true) {
  if (isShown) print(`$ kv ${words.map((word) => (word.includes(' ') ? `'${word}'` : word)).join(' ')}\n`);
  // What the surroundings say about another cluster is not for this one.
  const { KV_ENDPOINTS, KV_CONFIG, ...environment } = process.env;
  const child = spawn(process.execPath, [kvPath, ...words], {
    cwd: folder,
    env: environment,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  child.stdout.setEncoding('utf8');
  child.stderr.setEncoding('utf8');
  return child;
}

async function withTimeout(promise, timeoutMs, message) {
  const giveUp = new AbortController();
  const late = delay(timeoutMs, undefined, { signal: giveUp.signal }).then(
    () => Promise.reject(new Error(message)),
    () => undefined,
  );
  try {
    return await Promise.race([promise, late]);
  } finally {
    giveUp.abort();
  }
}

function expectEqual(actual, expected) {
  if (actual !== expected) throw new Error(`${JSON.stringify(expected)} was expected, not ${JSON.stringify(actual)}`);
}

function expectMatch(actual, pattern) {
  if (!pattern.test(actual)) throw new Error(`something like ${pattern} was expected, not ${JSON.stringify(actual)}`);
}

/** Set when a node ended that should not have. */
let failure;

function throwFailure() {
  if (failure !== undefined) throw failure;
}

function say(line) {
  print(`\n# ${line}\n`);
}

function print(text) {
  process.stdout.write(text);
}

// The steps look at it where they wait; then all is stopped and removed as at any other failure.
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => {
    failure ??= new Error(`stopped by ${signal}`);
    process.exitCode = 128 + constants.signals[signal];
  });
}

try {
  await main();
} catch (error) {
  process.stderr.write(`\nquickstart failed: ${error.message}\n`);
  process.exitCode ??= 1;
}
