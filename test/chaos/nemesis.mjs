// What goes wrong: one thing after the other, at random.
import { setTimeout as delay } from 'node:timers/promises';

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
        this.counts[name] = (this.counts[name] ?? 0) + 1;
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

  /** Asks for other members, and goes on. */
  #reconfigure() {
    if (this.#changes.size >= changesMax) return undefined;
    const members = shuffled(this.#nodes.ids).slice(0, pick([1, 2, 3, 3, 3, 4, 5]));
    const words = members.map((id) => `${id}=${this.#nodes.address(id)}`).join(',');
    const flags = [...(chance(0.3) ? ['--no-wait'] : []), ...(chance(0.5) ? ['--force'] : [])];
    const change = this.#nodes
      .kv('reconfigure', words, '--yes', '--json', '--timeout', '8s', '--wait-timeout', '10s', ...flags)
      .then(({ code, stdout, stderr }) => {
        this.#changes.delete(change);
        this.counts[`reconfigure, exit ${code}`] = (this.counts[`reconfigure, exit ${code}`] ?? 0) + 1;
        this.#note(`reconfigure ${members}: exit ${code} ${(code === 0 ? stdout : stderr).trim().slice(0, 300)}`);
      });
    this.#changes.add(change);
    return `${members} ${flags.join(' ')}`;
  }
}
