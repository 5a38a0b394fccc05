import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { KvClient } from '../../src/client/client.ts';
import { ProcessCluster } from './cluster.ts';
import { Attached, attachProblem } from './strace.ts';

const problem = attachProblem();
const delayMs = 200;
const ids = [1, 2, 3];

describe.skipIf(problem)(`a node whose disk is slow${problem ? ` (${problem})` : ''}`, () => {
  let cluster: ProcessCluster;
  let load: Load;

  beforeEach(async () => {
    cluster = await ProcessCluster.create(ids);
    await cluster.start(...ids);
    await cluster.until(({ leader, members }) => leader !== null && members.every((one) => one.role !== 'unreachable'));
    load = await Load.start(cluster.endpoints);
  });

  afterEach(async () => {
    await load.stop();
    await cluster.destroy();
  });

  /** Each write to the log of node `id` takes 200 ms more from now on. */
  function slow(id: number): Attached {
    const log = join(cluster.dataDirectory(id), 'log');
    const files = Array.from({ length: 60 }, (_, at) => join(log, `${String(at + 1).padStart(20, '0')}.wal`));
    return new Attached(cluster.pid(id), { call: 'pwrite64', files, fault: `delay_exit=${delayMs * 1000}` });
  }

  /** The ballots that were led with so far, each with its node: one more is a leader change. */
  function ballots(): string[] {
    const lines = ids.flatMap((id) => [...cluster.stderr(id).matchAll(/node \d+ leads, ballot \d+/g)]);
    return [...new Set(lines.map(([line]) => line))];
  }

  const flushes = async (id: number) =>
    (await cluster.status()).members.find((member) => member.id === id)?.disk?.flushes ?? 0;

  /** Waits until node `id` has made `count` more flushes. At 200 ms each, 25 of them take five seconds. */
  async function flushed(id: number, count: number): Promise<void> {
    const from = await flushes(id);
    await cluster.until(({ members }) =>
      members.some((member) => member.id === id && (member.disk?.flushes ?? 0) >= from + count),
    );
  }

  test('hands the lead over if it leads, and the lead stays there', async () => {
    const leader = await cluster.leader();
    await load.writes(100);
    const before = ballots();
    const disk = slow(leader);
    const view = await cluster.until((now) => typeof now.leader === 'number' && now.leader !== leader);
    await flushed(leader, 25);
    expect(cluster.stderr(leader)).toContain(`because of its slow disk this node asks node ${view.leader} to lead`);
    const later = await cluster.status();
    expect(later.leader).toBe(view.leader);
    expect(later.members.find(({ id }) => id === leader)?.disk?.flushP99Ms).toBeGreaterThanOrEqual(delayMs);
    expect(ballots().length).toBe(before.length + 1);
    expect(await load.writes(100)).toBeLessThan(delayMs);
    await disk.end();
  });

  test('changes nothing for clients if it follows', async () => {
    const leader = await cluster.leader();
    const follower = ids.find((id) => id !== leader) as number;
    const before = { ballots: ballots(), medianMs: await load.writes(200) };
    const disk = slow(follower);
    await flushed(follower, 10);
    const medianMs = await load.writes(200);
    await flushed(follower, 10);
    expect((await cluster.status()).leader).toBe(leader);
    expect(ballots()).toEqual(before.ballots);
    // Whoever waited for that disk would take 200 ms more. What else is due to other work on this machine.
    expect(medianMs - before.medianMs).toBeLessThan(delayMs / 2);
    await disk.end();
  });
});

/** One put after the other, until it is stopped. */
class Load {
  readonly #client: KvClient;
  readonly #running: Promise<void>;
  #durationsMs: number[] = [];
  #isStopping = false;
  #onWrite: () => void = () => {};

  static async start(endpoints: readonly string[]): Promise<Load> {
    return new Load(await KvClient.connect({ endpoints: [...endpoints], timeoutMs: 20_000 }));
  }

  private constructor(client: KvClient) {
    this.#client = client;
    this.#running = this.#run();
  }

  /** Waits for `count` more writes and gives the median of how long they took, milliseconds. */
  async writes(count: number): Promise<number> {
    this.#durationsMs = [];
    await Promise.race([
      this.#running,
      new Promise<void>((resolve) => {
        this.#onWrite = () => this.#durationsMs.length >= count && resolve();
      }),
    ]);
    return this.#durationsMs.sort((a, b) => a - b)[Math.floor(count / 2)] as number;
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    await this.#running;
    await this.#client.close();
  }

  async #run(): Promise<void> {
    for (let number = 0; !this.#isStopping; number++) {
      const begun = performance.now();
      await this.#client.put(`key-${number % 100}`, `value ${number}`);
      this.#durationsMs.push(performance.now() - begun);
      this.#onWrite();
    }
  }
}
