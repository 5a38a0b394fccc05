// What goes wrong: one thing after the other, at random.
import { setTimeout as delay } from 'node:timers/promises';
import { KvClient, KvError } from '../../dist/src/index.js';

const pauseMsMax = 2500;
const changesMax = 2;

const chance = (share) => Math.random() < share;
const pick = (list) => list[Math.floor(Math.random() * list.length)];
const shuffled = (list) =>
  list
    .map((item) => [Math.random(), item])
    .sort(([a], [b]) => a - b)
    .map(([, item]) => item);

export class Nemesis {
  #nodes;
  #hosts;
  #note;
  #changes = new Set();
  counts = {};

  /** `note` takes a line for each thing done. */
  constructor(nodes, hosts, note) {
    this.#nodes = nodes;
    this.#hosts = hosts;
    this.#note = note;
  }

  /** Until `deadlineMs` of `performance.now()`. */
  async run(deadlineMs) {
    while (performance.now() < deadlineMs) {
      const [name, act] = pick(this.#acts());
      const what = await act();
      if (what !== undefined) {
        this.#count(name);
        this.#note(`${name} ${what}`);
      }
      await this.#nodes.check();
      await delay(Math.random() * pauseMsMax);
    }
  }

  /** All links, all nodes, nobody paused. */
  heal() {
    this.#hosts.heal();
    for (const id of this.#nodes.paused) this.#nodes.resume(id);
    for (const id of this.#nodes.ids) this.#nodes.start(id);
    this.#note('healed');
  }

  /** Until the changes of members that were asked for are over. */
  async settled() {
    await Promise.all(this.#changes);
  }

  #acts() {
    const { ids } = this.#nodes;
    const one = pick(ids);
    const side = new Set(shuffled(ids).slice(0, Math.ceil(ids.length / 2)));
    return [
      ['isolate', () => this.#cut(`${one}`, (a, b) => a === one || b === one)],
      ['hub', () => this.#cut(`${one}`, (a, b) => a !== one && b !== one)],
      ['split', () => this.#cut([...side].join(','), (a, b) => side.has(a) !== side.has(b))],
      ['some links', () => this.#cut('', () => chance(0.3))],
      ['one way', () => this.#cutOneWay(() => chance(0.2))],
      ['slow', () => this.#slow(one)],
      ['slow', () => this.#slow(one)],
      ['heal', () => this.#healLinks()],
      ['heal', () => this.#healLinks()],
      ['heal', () => this.#healLinks()],
      ['kill', () => this.#kill(pick(this.#nodes.running))],
      ['start', () => this.#startAll()],
      ['start', () => this.#startAll()],
      ['pause', () => this.#pause(pick(this.#nodes.running))],
      ['resume', () => this.#resumeAll()],
      ['resume', () => this.#resumeAll()],
      ...Array.from({ length: 4 }, () => ['reconfigure', () => this.#reconfigure()]),
    ];
  }

  #cut(what, isCut) {
    this.#hosts.heal();
    this.#hosts.cut(isCut);
    return what;
  }

  #cutOneWay(isCut) {
    this.#hosts.heal();
    this.#hosts.cutOneWay(isCut);
    return '';
  }

  #slow(host) {
    const megabits = pick([1, 5, 20, 80]);
    this.#hosts.slow(host, megabits);
    return `${host} to ${megabits} Mbit/s`;
  }

  #healLinks() {
    this.#hosts.heal();
    return '';
  }

  async #kill(id) {
    if (id === undefined) return undefined;
    await this.#nodes.kill(id);
    return `${id}`;
  }

  #startAll() {
    for (const id of this.#nodes.ids) this.#nodes.start(id);
    return '';
  }

  #pause(id) {
    if (id === undefined) return undefined;
    this.#nodes.pause(id);
    return `${id}`;
  }

  #resumeAll() {
    for (const id of this.#nodes.paused) this.#nodes.resume(id);
    return '';
  }

  /** Asks for other members, by the command, which looks first, or by the library, which does not; and goes on. */
  #reconfigure() {
    if (this.#changes.size >= changesMax) return undefined;
    const ids = shuffled(this.#nodes.ids).slice(0, pick([1, 2, 3, 3, 3, 4, 5]));
    const members = ids.map((id) => ({ id, address: this.#nodes.address(id) }));
    const change = (chance(0.5) ? this.#byCommand(members) : this.#byLibrary(members)).then((outcome) => {
      this.#changes.delete(change);
      const [kind] = outcome.split(':');
      this.#count(`reconfigure by ${kind}`);
      this.#note(`reconfigure ${ids} by ${outcome}`);
    });
    this.#changes.add(change);
    return `${ids}`;
  }

  async #byCommand(members) {
    const words = members.map(({ id, address }) => `${id}=${address}`).join(',');
    const flags = [...(chance(0.3) ? ['--no-wait'] : []), ...(chance(0.5) ? ['--force'] : [])];
    const times = ['--timeout', '8s', '--wait-timeout', '10s'];
    const { code, stdout, stderr } = await this.#nodes.kv('reconfigure', words, '--yes', '--json', ...times, ...flags);
    return `command ${flags.join(' ')} exit ${code}: ${(code === 0 ? stdout : stderr).trim().slice(0, 300)}`;
  }

  async #byLibrary(members) {
    try {
      const client = await KvClient.connect({ endpoints: this.#nodes.endpoints, timeoutMs: 5000 });
      try {
        await client.reconfigure(members, { timeoutMs: 8000, fillTimeoutMs: pick([0, 5000]) });
        return 'library: done';
      } finally {
        await client.close();
      }
    } catch (error) {
      if (!(error instanceof KvError)) throw error;
      return `library ${error.code} ${error.outcome}: ${error.message}`;
    }
  }

  #count(name) {
    this.counts[name] = (this.counts[name] ?? 0) + 1;
  }
}
