// Hosts for servers: a network namespace each, whose bytes can be counted, where this is root; else all are this machine.
import { execFileSync } from 'node:child_process';
import { importTypeScript } from '../test/import-typescript.mjs';
import { freePorts } from './processes.mjs';

/**
 * `{problem, addressOf(host, port), on(host, command), bytesOut(host), destroy()}`. `problem` says why bytes cannot be counted;
 * `bytesOut` then gives undefined. `on`: the words that run a command there. Hosts are 1 to `count`.
 */
export async function openHosts(count) {
  const { Hosts, namespacesProblem } = await importTypeScript(
    new URL('../test/process/namespaces.ts', import.meta.url),
  );
  const problem = namespacesProblem();
  if (problem !== undefined) return loopback(problem);
  const hosts = new Hosts(count);
  return {
    problem: undefined,
    addressOf: (host, port) => `${hosts.address(host)}:${port}`,
    on: (host, command) => [...hosts.on(host), ...command],
    bytesOut: (host) => sentBytes(hosts.on(host)),
    destroy: () => hosts.destroy(),
  };
}

/** Ports that are free here; in a namespace all are. */
export async function portsFor(hosts, count) {
  return hosts.problem === undefined ? Array.from({ length: count }, (_, at) => 7001 + at) : await freePorts(count);
}

function loopback(problem) {
  return {
    problem,
    addressOf: (_, port) => `127.0.0.1:${port}`,
    on: (_, command) => command,
    bytesOut: () => undefined,
    destroy() {},
  };
}

/** Bytes that left the host by its network card. */
function sentBytes([program, ...parameters]) {
  const file = '/sys/class/net/eth0/statistics/tx_bytes';
  return Number(execFileSync(program, [...parameters, 'cat', file], { encoding: 'utf8' }));
}
