// Large values, put again and again: so that the log is trimmed, and newcomers need the state in pieces.
import { setTimeout as delay } from 'node:timers/promises';
import { KvClient, KvError } from '../../dist/src/index.js';

const keys = 1500;
const bytesMin = 8 * 1024;
const bytesMax = 32 * 1024;
const writers = 2;
const thinkMs = 5;
const pauseMs = 100;
const prefix = 'bulk/';

/** Each key has one writer. It goes on through all rounds. */
export class Bulk {
  #client;
  #loops = [];
  #isOver = false;
  #failure;
  /** Of each key, by its number: which put was acknowledged last, and which was tried last. */
  #acknowledged = new Map();
  #tried = new Map();

  static async start(endpoints) {
    const bulk = new Bulk();
    bulk.#client = await KvClient.connect({ endpoints, timeoutMs: 10_000 });
    for (let writer = 0; writer < writers; writer++) bulk.#loops.push(bulk.#run(writer));
    return bulk;
  }

  /** Keys that do not hold the last put that was acknowledged, or a later one. */
  async problems() {
    if (this.#failure) throw this.#failure;
    const acknowledged = new Map(this.#acknowledged);
    const found = [];
    const seen = new Set();
    for await (const { key, value } of this.#client.scan(prefix, { timeoutMs: 30_000 })) {
      const number = Number(Buffer.from(key).toString().slice(prefix.length));
      const put = Number(Buffer.from(value).toString('latin1').split(' ')[0]);
      seen.add(number);
      const [from, to] = [acknowledged.get(number) ?? 0, this.#tried.get(number)];
      if (put < from || put > to)
        found.push(`${prefix}${number} holds put ${put}: ${from} was acknowledged, and ${to} the last that was tried`);
    }
    for (const number of acknowledged.keys()) if (!seen.has(number)) found.push(`${prefix}${number} is gone`);
    return found;
  }

  async stop() {
    this.#isOver = true;
    await Promise.all(this.#loops);
    await this.#client.close();
  }

  async #run(writer) {
    for (let put = 1; !this.#isOver; put++) {
      const number = writers * Math.floor((Math.random() * keys) / writers) + writer;
      const bytes = bytesMin + Math.floor(Math.random() * (bytesMax - bytesMin));
      this.#tried.set(number, put);
      try {
        await this.#client.put(`${prefix}${number}`, `${put} `.padEnd(bytes, 'x'));
        this.#acknowledged.set(number, put);
        await delay(thinkMs);
      } catch (error) {
        if (!(error instanceof KvError)) {
          this.#failure ??= error;
          return;
        }
        await delay(pauseMs);
      }
    }
  }
}
