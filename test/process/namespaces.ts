import { execFileSync } from 'node:child_process';

/** Why hosts in network namespaces cannot be had here; undefined if they can. */
export function namespacesProblem(): string | undefined {
  if (process.getuid?.() !== 0) return 'needs root, to make network namespaces';
  try {
    const probe = `kv-probe-${process.pid}`;
    ip('netns', 'add', probe);
    ip('netns', 'del', probe);
    return undefined;
  } catch (error) {
    return `needs "ip netns" (Debian: iproute2): ${error instanceof Error ? error.message.split('\n')[0] : error}`;
  }
}

/** Several hosts on one machine: a network namespace each, on one bridge. Links are cut silently, as a firewall does. */
export class Hosts {
  readonly #tag = `kv${process.pid % 10_000}`;
  readonly #subnet = `10.${100 + (process.pid % 100)}.${Math.floor(process.pid / 100) % 250}`;
  readonly #count: number;
  readonly #slow = new Set<number>();

  constructor(count: number) {
    this.#count = count;
    ip('link', 'add', this.#bridge, 'type', 'bridge');
    ip('link', 'set', this.#bridge, 'up');
    ip('addr', 'add', `${this.#subnet}.254/24`, 'dev', this.#bridge);
    for (const host of this.all()) this.#addHost(host);
  }

  /** 1 to the count. */
  all(): number[] {
    return Array.from({ length: this.#count }, (_, at) => at + 1);
  }

  address(host: number): string {
    return `${this.#subnet}.${host}`;
  }

  /** Words to put before a command so that it runs on `host`. */
  on(host: number): string[] {
    return ['ip', 'netns', 'exec', this.#namespace(host)];
  }

  /** Cuts the links between all pairs for which `isCut` holds, in both directions. */
  cut(isCut: (a: number, b: number) => boolean): void {
    const pairs = new Set<string>();
    for (const a of this.all()) for (const b of this.all()) if (isCut(a, b)) pairs.add(`${a} ${b}`).add(`${b} ${a}`);
    this.cutOneWay((from, to) => pairs.has(`${from} ${to}`));
  }

  /** What `from` sends to `to` goes nowhere, for all pairs for which `isCut` holds. */
  cutOneWay(isCut: (from: number, to: number) => boolean): void {
    for (const from of this.all()) {
      for (const to of this.all()) if (from !== to && isCut(from, to)) this.#blackhole('replace', from, to);
    }
  }

  /** What `host` sends is held to so many megabits a second; what waits for longer than a fifth of a second is dropped. */
  slow(host: number, megabits: number): void {
    const limit = ['rate', `${megabits}mbit`, 'burst', '32kb', 'latency', '200ms'];
    run('tc', '-n', this.#namespace(host), 'qdisc', 'replace', 'dev', 'eth0', 'root', 'tbf', ...limit);
    this.#slow.add(host);
  }

  heal(): void {
    for (const host of this.#slow) run('tc', '-n', this.#namespace(host), 'qdisc', 'del', 'dev', 'eth0', 'root');
    this.#slow.clear();
    for (const a of this.all()) {
      const routes = ip('-n', this.#namespace(a), 'route', 'show', 'type', 'blackhole');
      for (const b of this.all()) if (routes.includes(`${this.address(b)} `)) this.#blackhole('del', a, b);
    }
  }

  destroy(): void {
    for (const host of this.all()) ip('netns', 'del', this.#namespace(host));
    ip('link', 'del', this.#bridge);
  }

  get #bridge(): string {
    return `${this.#tag}br`;
  }

  #namespace(host: number): string {
    return `${this.#tag}-${host}`;
  }

  #addHost(host: number): void {
    const namespace = this.#namespace(host);
    const outside = `${this.#tag}v${host}`;
    ip('netns', 'add', namespace);
    ip('link', 'add', outside, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', namespace);
    ip('link', 'set', outside, 'master', this.#bridge, 'up');
    ip('-n', namespace, 'addr', 'add', `${this.address(host)}/24`, 'dev', 'eth0');
    ip('-n', namespace, 'link', 'set', 'eth0', 'up');
    ip('-n', namespace, 'link', 'set', 'lo', 'up');
  }

  #blackhole(verb: 'replace' | 'del', from: number, to: number): void {
    ip('-n', this.#namespace(from), 'route', verb, 'blackhole', this.address(to));
  }
}

function ip(...args: string[]): string {
  return run('ip', ...args);
}

function run(command: string, ...args: string[]): string {
  return execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}
