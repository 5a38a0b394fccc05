// Server processes: started with their output in a file, measured by /proc, and never left behind.
import { spawn } from 'node:child_process';
import { openSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { constants } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

const stopTimeoutMs = 15_000;
const pollMs = 50;
/** Of /proc/PID/stat: USER_HZ is 100 on every Linux that Node runs on. */
const ticksPerSecond = 100;

/** All that run. */
const running = new Set();
/** Directories to be removed at the end. */
const directories = new Set();

/** Starts a server; what it prints goes to NAME.log in `directory`. */
export function startServer(name, directory, program, parameters, environment = {}) {
  const logPath = join(directory, `${name}.log`);
  const log = openSync(logPath, 'a');
  const child = spawn(program, parameters, {
    cwd: directory,
    env: { ...process.env, ...environment },
    stdio: ['ignore', log, log],
    // A group of its own: Ctrl-C reaches us alone, and we stop it.
    detached: true,
  });
  const server = { name, child, logPath, hasEnded: false };
  server.ended = new Promise((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('exit', (code, signal) => resolve(signal ?? `exit code ${code}`));
  }).then((how) => {
    server.hasEnded = true;
    running.delete(server);
    return how;
  });
  running.add(server);
  return server;
}

/** Asks servers to end, and kills those that do not. */
export async function stopServers(servers) {
  for (const { child } of servers) child.kill('SIGTERM');
  for (const server of servers) {
    const force = setTimeout(() => server.child.kill('SIGKILL'), stopTimeoutMs);
    await server.ended;
    clearTimeout(force);
  }
}

/** Polls until `isReady` gives something true, and gives that. Fails when a server has ended, or after a while. */
export async function waitUntil(what, servers, isReady, timeoutMs = 60_000) {
  const deadlineMs = performance.now() + timeoutMs;
  let last;
  while (performance.now() < deadlineMs) {
    await throwIfEnded(servers);
    try {
      const found = await isReady();
      if (found) return found;
    } catch (error) {
      last = error;
    }
    await delay(pollMs);
  }
  throw new Error(`waited ${timeoutMs} ms until ${what}: ${last?.message ?? 'not so'}\n${tail(servers[0].logPath)}`);
}

/** Servers are to run until they are stopped: throws what the first that did not has said. */
export async function throwIfEnded(servers) {
  const dead = servers.find((server) => server.hasEnded);
  if (dead) throw new Error(`${dead.name} ended (${await dead.ended}); it said:\n${tail(dead.logPath)}`);
}

/** Remembers a directory that is to be removed at the end, whatever happens. */
export function removeAtEnd(directory) {
  directories.add(directory);
}

export function removeNow(directory) {
  rmSync(directory, { recursive: true, force: true });
  directories.delete(directory);
}

/** Stops all servers and removes all directories. */
export async function cleanUp() {
  await stopServers([...running]);
  for (const directory of directories) removeNow(directory);
}

/** Runs `main` and cleans up after it, also at Ctrl-C. */
export async function runToEnd(name, main) {
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(signal, () => {
      process.exitCode = 128 + constants.signals[signal];
      if (stop.signal.aborted) {
        for (const { child } of running) child.kill('SIGKILL');
        process.exit();
      }
      process.stderr.write('stopping (again to end at once)\n');
      stop.abort(new Error(`stopped by ${signal}`));
    });
  }
  try {
    await main(stop.signal);
  } catch (error) {
    process.stderr.write(`${name}: ${error.message}\n`);
    process.exitCode ||= 1;
  } finally {
    await cleanUp();
  }
}

/** User and system CPU time of processes, seconds, in steps of 10 ms. */
export function cpuSecondsOf(pids) {
  let ticks = 0;
  for (const pid of pids) {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name in parentheses may hold spaces; utime and stime are fields 14 and 15, the state after the name is 3.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    ticks += Number(fields[11]) + Number(fields[12]);
  }
  return ticks / ticksPerSecond;
}

/** Resident memory of the largest of the processes, MiB. */
export function largestResidentMiB(pids) {
  const kib = pids.map((pid) => Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]));
  return Math.round(Math.max(...kib) / 1024);
}

/** Distinct free ports of 127.0.0.1: all are held at once before any is let go. */
export async function freePorts(count) {
  const servers = await Promise.all(
    Array.from({ length: count }, () => {
      const server = createServer();
      return new Promise((resolve, reject) => {
        server.once('error', reject);
        server.listen(0, '127.0.0.1', () => resolve(server));
      });
    }),
  );
  const ports = servers.map((server) => server.address().port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

function tail(path) {
  return readFileSync(path, 'utf8').split('\n').slice(-20).join('\n');
}
