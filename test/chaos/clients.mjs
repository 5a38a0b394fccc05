// Clients at work while everything around them breaks, and what they saw: a history, counters, and what a watcher was told.
import { setTimeout as delay } from 'node:timers/promises';
import { KvClient, KvError } from '../../dist/src/index.js';

const callTimeoutMs = 4000;
const pauseMs = 50;
/** Between two operations of a client: all share two processors with the nodes. */
const thinkMsMax = 10;
const sharedKeys = 6;

const text = (bytes) => Buffer.from(bytes).toString();
const chance = (share) => Math.random() < share;

/** All clients of a round. Keys begin with `prefix`, which no other round had. */
export class Clients {
  #prefix;
  #endpoints;
  #clients = [];
  #loops = [];
  #isOver = false;
  #failure;
  #history = [];
  /** Of each counter: how many additions were acknowledged, and how many may have been made. */
  #added = new Map();
  #seen = new Map();
  #watcher = new AbortController();
  #watching;
  /** When each client was last answered that an operation is done. */
  #doneMs = [];
  done = 0;

  /** `endpointsOf`: a list for each client. */
  constructor(prefix, endpoints, endpointsOf) {
    this.#prefix = prefix;
    this.#endpoints = endpoints;
    for (const [at, mine] of endpointsOf.entries()) this.#loops.push(this.#run(at, mine));
    this.#watching = this.#watch();
  }

  /** Milliseconds since the client that has waited longest was last answered. */
  get longestWaitMs() {
    return performance.now() - Math.min(...this.#doneMs);
  }

  throwFailure() {
    if (this.#failure) throw this.#failure;
  }

  async stop() {
    this.#isOver = true;
    await Promise.all(this.#loops);
    this.throwFailure();
  }

  /** What is not as it should be, now that all is well: lines. `checkHistory` gives the verdict on the history. */
  async problems(checkHistory, members) {
    const found = [];
    const verdict = checkHistory(this.#history);
    if (!verdict.ok) found.push(`not linearizable: key ${verdict.key}: ${verdict.explanation}`);
    const client = await KvClient.connect({ endpoints: this.#endpoints, timeoutMs: 20_000 });
    const pairs = new Map((await client.list(this.#prefix)).map(({ key, value }) => [text(key), text(value)]));
    for (const [key, { sure, maybe }] of this.#added) {
      const value = Number(pairs.get(key) ?? 0);
      if (value < sure || value > sure + maybe)
        found.push(`counter ${key} is ${value}: ${sure} were added, and maybe ${maybe}`);
    }
    found.push(...(await this.#watchProblems(pairs)));
    for (const endpoint of members) found.push(...(await this.#copyProblems(endpoint, pairs)));
    await client.close();
    await Promise.all(this.#clients.map((one) => one.close()));
    return found;
  }

  get counts() {
    const unknown = this.#history.filter(({ returned }) => returned === undefined).length;
    return { operations: this.#history.length, unknown, seen: this.#seen.size };
  }

  async #run(at, endpoints) {
    this.#doneMs[at] = performance.now();
    try {
      const client = await this.#connect(endpoints);
      while (!this.#isOver && client) {
        const isDone = await this.#next(client, at);
        if (isDone) {
          this.done++;
          this.#doneMs[at] = performance.now();
        }
        await delay(isDone ? Math.random() * thinkMsMax : pauseMs);
      }
    } catch (error) {
      this.#failure ??= error;
    }
  }

  #next(client, at) {
    if (chance(0.15)) return this.#add(client);
    return chance(0.15) ? this.#move(client) : this.#operate(client, at);
  }

  async #connect(endpoints) {
    while (!this.#isOver) {
      const client = await attempt(KvClient.connect({ endpoints, timeoutMs: callTimeoutMs }));
      if (!(client instanceof KvError)) {
        this.#clients.push(client);
        return client;
      }
      await delay(pauseMs);
    }
    return undefined;
  }

  /** A put, a get or a delete of a key that all share. True if it is done. */
  async #operate(client, at) {
    const key = `${this.#prefix}shared-${Math.floor(Math.random() * sharedKeys)}`;
    const operation = { key, client: at, invoked: performance.now() };
    if (chance(0.5)) {
      const record = await attempt(client.get(key));
      if (record instanceof KvError) return false;
      this.#history.push({
        ...operation,
        type: 'get',
        value: record && text(record.value),
        returned: performance.now(),
      });
      return true;
    }
    const value = chance(0.2) ? undefined : `${at}:${this.#history.length}`;
    const answer = await attempt(value === undefined ? client.delete(key) : client.put(key, value));
    if (answer instanceof KvError && answer.outcome === 'notApplied') return false;
    const returned = answer instanceof KvError ? undefined : performance.now();
    this.#history.push({
      ...operation,
      type: value === undefined ? 'delete' : 'put',
      ...(value && { value }),
      returned,
    });
    return returned !== undefined;
  }

  /** Adds one to a counter that all share, unless somebody else does first. True if it is done. */
  async #add(client) {
    const key = `${this.#prefix}counter`;
    const found = await attempt(client.get(key));
    if (found instanceof KvError) return false;
    const next = Number(found ? text(found.value) : 0) + 1;
    const answer = await attempt(client.put(key, String(next), { ifRevision: found?.revision ?? 0 }));
    const isError = answer instanceof KvError;
    const added = this.#added.get(key) ?? { sure: 0, maybe: 0 };
    if (!isError) added.sure++;
    else if (answer.outcome === 'unknown') added.maybe++;
    this.#added.set(key, added);
    return !isError || answer.code === 'conflict';
  }

  /** Carries one from one side of a balance to the other: whoever sees both sides at one moment sees nothing missing. True if it is done. */
  async #move(client) {
    const found = await attempt(client.list(`${this.#prefix}balance-`));
    if (found instanceof KvError) return false;
    const sides = ['balance-left', 'balance-right'].map((name) => {
      const side = found.find(({ key }) => text(key) === this.#prefix + name);
      return { key: this.#prefix + name, value: Number(side ? text(side.value) : 0), revision: side?.revision ?? 0 };
    });
    this.#weigh(
      'a list',
      sides.map(({ value }) => value),
    );
    const changes = sides.map(({ key, value }, at) => ({ put: key, value: String(value + (at === 0 ? -1 : 1)) }));
    const answer = await attempt(
      client.transact({ if: sides.map(({ key, revision }) => ({ key, revision })), do: changes }),
    );
    return !(answer instanceof KvError) || answer.code === 'conflict';
  }

  #weigh(who, [left, right]) {
    if (left + right !== 0) this.#failure ??= new Error(`${who} had ${left} and ${right} of what changes together`);
  }

  /** What a watcher of all keys was told, in a map; begins anew whenever the cluster was out of reach for too long. */
  async #watch() {
    const { signal } = this.#watcher;
    while (!signal.aborted) {
      const client = await attempt(KvClient.connect({ endpoints: this.#endpoints, timeoutMs: callTimeoutMs }));
      if (client instanceof KvError) continue;
      try {
        this.#seen.clear();
        for await (const changes of client.watchPrefix(this.#prefix, { signal })) this.#tellAll(changes);
      } catch (error) {
        if (!(error instanceof KvError)) this.#failure ??= error;
      } finally {
        await client.close();
      }
    }
  }

  #tellAll(changes) {
    for (const one of changes) this.#tell(one);
    const sides = ['balance-left', 'balance-right'].map((name) => this.#seen.get(this.#prefix + name));
    this.#weigh(
      'a watcher',
      sides.map((side) => Number(side?.value ?? 0)),
    );
  }

  #tell({ type, key, value, revision }) {
    const before = this.#seen.get(text(key));
    if (before && revision <= before.revision) {
      this.#failure ??= new Error(`a watcher was told revision ${revision} of ${text(key)} after ${before.revision}`);
    }
    this.#seen.set(text(key), { revision, value: type === 'put' ? text(value) : undefined });
  }

  async #watchProblems(pairs) {
    const deadlineMs = performance.now() + 10_000;
    let difference = this.#watchDifference(pairs);
    while (difference !== undefined && performance.now() < deadlineMs) {
      await delay(pauseMs);
      difference = this.#watchDifference(pairs);
    }
    this.#watcher.abort();
    await this.#watching;
    this.throwFailure();
    return difference === undefined ? [] : [difference];
  }

  #watchDifference(pairs) {
    const seen = new Map(
      [...this.#seen].filter(([, { value }]) => value !== undefined).map(([key, { value }]) => [key, value]),
    );
    return differenceOf('a watcher was told', seen, pairs);
  }

  async #copyProblems(endpoint, pairs) {
    const client = await KvClient.connect({ endpoints: [endpoint], timeoutMs: 20_000 });
    const local = await client.list(this.#prefix, { consistency: 'local' });
    await client.close();
    const copy = new Map(local.map(({ key, value }) => [text(key), text(value)]));
    const difference = differenceOf(`node ${endpoint} has`, copy, pairs);
    return difference === undefined ? [] : [difference];
  }
}

function differenceOf(what, found, right) {
  for (const key of new Set([...found.keys(), ...right.keys()])) {
    if (found.get(key) !== right.get(key)) return `${what} ${key} = ${found.get(key)}, not ${right.get(key)}`;
  }
  return undefined;
}

/** What it gives, or the KvError that it fails with. */
async function attempt(promise) {
  try {
    return await promise;
  } catch (error) {
    if (error instanceof KvError) return error;
    throw error;
  }
}
