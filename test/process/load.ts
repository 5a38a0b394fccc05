import { KvError } from '../../src/client/call/errors.ts';
import { KvClient } from '../../src/client/client.ts';
import { checkHistory, type Operation, type Verdict } from '../linearizability/checker.ts';

/** One operation in so many is on one of the few keys that all share, and is recorded. */
const hotShare = 10;
const keysPerWriter = 200;

/** Clients at work until they are stopped: each with keys of its own, all on a few that they share. */
export class Load {
  readonly #client: KvClient;
  readonly #writers: Promise<void>[];
  /** The last acknowledged value of each key that one writer has for itself; those of unknown outcome are left out. */
  readonly #acknowledged = new Map<string, string>();
  readonly #history: Operation[] = [];
  #isStopped = false;
  #done = 0;
  #failure: unknown;

  private constructor(client: KvClient, writers: number) {
    this.#client = client;
    this.#writers = Array.from({ length: writers }, (_, writer) => this.#run(writer));
  }

  static async start(endpoints: readonly string[], writers: number): Promise<Load> {
    return new Load(await KvClient.connect({ endpoints, timeoutMs: 60_000 }), writers);
  }

  /** Waits until so many more operations are done: the cluster works. */
  async progress(count: number): Promise<void> {
    const goal = this.#done + count;
    while (this.#done < goal && this.#failure === undefined) await new Promise((resolve) => setTimeout(resolve, 5));
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Ends the load. Gives what it saw: how many operations, keys that do not hold what was acknowledged, and the verdict. */
  async stop(): Promise<{ readonly operations: number; readonly lost: string[]; readonly verdict: Verdict }> {
    this.#isStopped = true;
    await Promise.all(this.#writers);
    if (this.#failure !== undefined) throw this.#failure;
    const pairs = await this.#client.list('own-');
    const found = new Map(pairs.map(({ key, value }) => [textOf(key), textOf(value)]));
    const lost = [...this.#acknowledged].filter(([key, value]) => found.get(key) !== value).map(([key]) => key);
    await this.#client.close();
    return { operations: this.#done, lost, verdict: checkHistory(this.#history) };
  }

  async #run(writer: number): Promise<void> {
    try {
      for (let number = 0; !this.#isStopped; number++) {
        if (number % hotShare === 0) await this.#hot(writer, number / hotShare);
        else await this.#own(writer, number);
        this.#done++;
      }
    } catch (error) {
      this.#failure ??= error;
    }
  }

  async #own(writer: number, number: number): Promise<void> {
    const key = `own-${writer}-${number % keysPerWriter}`;
    const value = `${writer}:${number}`;
    try {
      await this.#client.put(key, value);
      this.#acknowledged.set(key, value);
    } catch (error) {
      if (!isUnknown(error)) throw error;
      this.#acknowledged.delete(key);
    }
  }

  async #hot(writer: number, number: number): Promise<void> {
    const key = `hot-${number % 5}`;
    const invoked = performance.now();
    const common = { key, invoked, client: writer };
    if (number % 3 === 0) {
      const record = await this.#client.get(key);
      const value = record && textOf(record.value);
      this.#history.push({ ...common, type: 'get', value, returned: performance.now() });
      return;
    }
    const value = `${writer}:${number}`;
    try {
      await this.#client.put(key, value);
      this.#history.push({ ...common, type: 'put', value, returned: performance.now() });
    } catch (error) {
      if (!isUnknown(error)) throw error;
      this.#history.push({ ...common, type: 'put', value, returned: undefined });
    }
  }
}

function isUnknown(error: unknown): boolean {
  return error instanceof KvError && error.outcome === 'unknown';
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString();
}
