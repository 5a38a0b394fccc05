import { MemoryStore, OmniPaxos, type PaxosMessage } from '../src/omnipaxos/index.ts';

/*
 * The core by itself: three replicas in one process, memory stores, messages handed over by call.
 * Run: `node bench/core.mjs`. With a profile: `node --cpu-prof bench/core.mjs`.
 */

const nodes = [1, 2, 3];

/** A cluster of three with node 1 in its accept phase. */
function start(): OmniPaxos<number>[] {
  const replicas = nodes.map((pid) => {
    const peers = nodes.filter((peer) => peer !== pid);
    return new OmniPaxos<number>({ configurationId: 1, pid, peers, store: new MemoryStore<number>() });
  });
  replicas[0]?.handleLeader({ n: 1, priority: 0, pid: 1 });
  exchange(replicas);
  return replicas;
}

/** Hands over messages until there are none. */
function exchange(replicas: readonly OmniPaxos<number>[]): void {
  for (let isBusy = true; isBusy; ) {
    isBusy = false;
    for (const replica of replicas) {
      const messages: PaxosMessage<number>[] = replica.getOutgoingMsgs();
      for (const message of messages) {
        isBusy = true;
        (replicas[message.to - 1] as OmniPaxos<number>).handle(message);
      }
    }
  }
}

/** Decided entries a second over `total` entries, proposed `batch` at a time, each batch decided everywhere before the next. */
function measure(batch: number, total: number): number {
  const replicas = start();
  const leader = replicas[0] as OmniPaxos<number>;
  const begin = process.hrtime.bigint();
  for (let done = 0; done < total; done += batch) {
    for (let at = 0; at < batch; at++) leader.proposeNormal(done + at);
    exchange(replicas);
    if (done % 16_384 === 0) for (const replica of replicas) replica.trim(replica.decidedIndex);
  }
  const seconds = Number(process.hrtime.bigint() - begin) / 1e9;
  for (const { decidedIndex } of replicas)
    if (decidedIndex < total) throw new Error(`${decidedIndex} of ${total} decided`);
  return total / seconds;
}

const runs = 5;
for (const [batch, total] of [
  [256, 3_000_000],
  [1, 1_000_000],
] as const) {
  measure(batch, total / 4);
  const rates = Array.from({ length: runs }, () => measure(batch, total)).sort((a, b) => a - b);
  const million = (rate: number | undefined) => ((rate ?? 0) / 1e6).toFixed(2);
  const [median, best] = [million(rates[Math.floor(runs / 2)]), million(rates[runs - 1])];
  console.log(`batches of ${batch}: ${median} million decided entries/s (median of ${runs}, best ${best})`);
}
