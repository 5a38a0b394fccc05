import { expect, it, vi } from 'vitest';
import { fromByteString, toByteString } from '../../src/base/bytes.ts';
import type { Answer, PromiseCall } from '../../src/client/call/call.ts';
import { Watch } from '../../src/client/keys/watch.ts';
import type { KvChange } from '../../src/client/keys/watch-batch.ts';
import type { Requests } from '../../src/client/requests.ts';
import { type CommandOrigin, encodeCommand } from '../../src/kv/command.ts';
import { MemoryStateStore } from '../../src/kv/memory-state-store.ts';
import { KvStateMachine } from '../../src/kv/state-machine.ts';
import type { TransactionChange } from '../../src/kv/transaction.ts';
import { Watches } from '../../src/replica/clients/watches.ts';
import type { ClientRequest } from '../../src/wire/client-message.ts';
import { Random } from '../simulation/random.ts';

/** Answers of a few keys, so that there are many of them. */
vi.mock('../../src/wire/limits.ts', async (original) => ({ ...(await original<object>()), answerBytesMax: 120 }));

const prefix = 'p';
const batchesPerSeed = 25;

/** Revision and value of each key. */
type State = ReadonlyMap<string, string>;

/** A node's state and watches, without a network; between any two questions much may change, and what is remembered may be forgotten. */
class World {
  readonly random: Random;
  readonly machine = new KvStateMachine(new MemoryStateStore());
  /** At each revision. */
  readonly states = new Map<number, State>();
  readonly #keys: number;
  readonly #remembered: number;
  readonly #changesMax: number;
  readonly #session: number;
  #watches: Watches;
  #number = 1;
  /** Since a batch was begun. */
  questions = 0;
  snapshots = 0;
  /** In all, questions behind the first of a batch that would wait for a change: what is to be told is kept back. */
  waits = 0;

  constructor(seed: number) {
    this.random = new Random(seed);
    this.#keys = this.random.pick([4, 20, 60]);
    this.#remembered = this.random.pick([3, 8, 40, 1000]);
    this.#changesMax = this.random.pick([2, 12]);
    this.#watches = this.#newWatches();
    this.#session = this.#apply({ kind: 'openSession', session: 0, number: 1, acknowledgedBelow: 0 }).session ?? 0;
    for (let count = 0; count < 30; count++) this.change();
  }

  /** Some keys at one moment. */
  change(): void {
    const names = new Set(Array.from({ length: this.random.between(1, 6) }, () => this.random.below(this.#keys)));
    const changes = [...names].map((name): TransactionChange => {
      const key = fromByteString(`${prefix}${name}`);
      const value = fromByteString('v'.repeat(this.random.below(40)) + this.#number);
      return this.random.chance(65) ? { kind: 'put', key, value } : { kind: 'delete', key };
    });
    this.#transact(changes);
  }

  /** Something is told of it in any case. */
  touch(): void {
    this.#transact([{ kind: 'put', key: fromByteString(`${prefix}0`), value: fromByteString(`${this.#number}`) }]);
  }

  readonly requests = {
    submit: (call: PromiseCall<Answer>) => {
      const request = call.request as ClientRequest & { readonly type: 'watch' };
      setImmediate(() => call.onAnswer(this.#answer(request)));
    },
  } as unknown as Requests;

  #answer({ key, isPrefix, since, after, waitMs }: ClientRequest & { readonly type: 'watch' }): Answer {
    this.questions++;
    if (this.questions > 1 && waitMs > 0) this.waits++;
    if (this.random.chance(30)) for (let left = this.random.below(this.#changesMax); left > 0; left--) this.change();
    if (this.random.chance(5)) this.#watches = this.#newWatches();
    const query = { type: 'watch' as const, key: toByteString(key), isPrefix, since, untilMs: 0 };
    const read = {
      connection: 1,
      requestId: 1,
      deadlineMs: 1,
      query: { ...query, after: after && toByteString(after) },
    };
    const answer = this.#watches.answer(read, 1) as Answer;
    if (answer.type === 'snapshot' && after === undefined) this.snapshots++;
    return answer;
  }

  #transact(changes: readonly TransactionChange[]): void {
    const number = ++this.#number;
    const origin = { session: this.#session, number, acknowledgedBelow: number };
    this.#apply({ kind: 'transact', ...origin, transaction: { conditions: [], changes } });
    const { pairs } = this.machine.range({ prefix, limit: 1000, bytesMax: Number.POSITIVE_INFINITY });
    const state = pairs.map(({ key, value, revision }) => [key, `${revision}: ${toByteString(value)}`] as const);
    this.states.set(this.machine.appliedIndex, new Map(state));
  }

  #apply(command: CommandOrigin & Parameters<typeof encodeCommand>[0]): { readonly session?: number } {
    return this.machine.apply(this.machine.appliedIndex, encodeCommand(command)) as { readonly session?: number };
  }

  #newWatches(): Watches {
    return new Watches(this.machine, { watchesMax: 100, rememberedChangesMax: this.#remembered });
  }
}

/** What somebody knows who has read all batches. */
class Reader {
  readonly known = new Map<string, string>();

  read(batch: readonly KvChange[]): void {
    const keys = batch.map(({ key }) => toByteString(key));
    if (new Set(keys).size < keys.length) throw new Error('a key is told twice in one batch');
    for (const [at, change] of batch.entries()) this.#take(keys[at] as string, change);
  }

  #take(key: string, change: KvChange): void {
    if (change.type === 'delete') {
      if (!this.known.delete(key)) throw new Error(`told that ${key} is deleted, which was not told of`);
      return;
    }
    const now = `${change.revision}: ${toByteString(change.value)}`;
    if (this.known.get(key) === now) throw new Error(`told again of ${key}`);
    this.known.set(key, now);
  }
}

function isSame(one: State, other: State): boolean {
  return one.size === other.size && [...one].every(([key, value]) => other.get(key) === value);
}

/** How many batches were looked at, and how many were too large to have to be of one moment. */
async function run(seed: number): Promise<{ readonly whole: number; readonly large: number }> {
  const world = new World(seed);
  const watch = new Watch(
    world.requests,
    { key: fromByteString(prefix), isPrefix: true },
    { timeoutMs: 1e6, signal: undefined },
  );
  const reader = new Reader();
  let whole = 0;
  let revision = 0;
  const batches = watch.batches();
  for (let nth = 0; nth < batchesPerSeed; nth++) {
    for (let left = world.random.below(4); left > 0; left--) world.change();
    world.touch();
    world.questions = 0;
    world.snapshots = 0;
    const { value } = await batches.next();
    reader.read(value as KvChange[]);
    if (world.questions >= 16 || world.snapshots >= 2) continue;
    whole++;
    const moments = [...world.states].filter(([, state]) => isSame(state, reader.known)).map(([moment]) => moment);
    const moment = moments.at(-1) ?? 0;
    if (moment < revision || moment === 0)
      throw new Error(`batch ${nth} is the state at no moment from ${revision} on`);
    revision = moment;
  }
  if (world.waits > 0) throw new Error(`waited ${world.waits} times for more where there was something to tell`);
  return { whole, large: batchesPerSeed - whole };
}

it('each batch of a watch makes the state at one moment, whatever changes while it is asked for', async () => {
  let whole = 0;
  let large = 0;
  for (let seed = 1; seed <= 200; seed++) {
    const counts = await run(seed).catch((error: Error) => {
      throw new Error(`seed ${seed}: ${error.message}`, { cause: error });
    });
    whole += counts.whole;
    large += counts.large;
  }
  expect(whole).toBeGreaterThan(3000);
  expect(large).toBeGreaterThan(50);
});
