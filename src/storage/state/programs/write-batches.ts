import type { MessagePort } from 'node:worker_threads';
import type { BatchFormat, SharedChunk } from '../state-batch.ts';
import type { batchOperations, Operations } from './batch-operations.ts';
import type { sealedRecords } from './sealed-records.ts';

/** What the thread is given when it starts. */
export interface WriterData {
  readonly lmdbPath: string;
  /** Directory of the environment. */
  readonly path: string;
  /** Names of its tables, as a batch numbers them. */
  readonly tables: readonly string[];
  readonly format: BatchFormat;
  /** How much less urgent than its process it is. */
  readonly niceness: number;
  /** Memory with the numbers at the places of {@link WriterSignals}. */
  readonly signals: SharedArrayBuffer;
  readonly places: WriterSignals;
}

/** Places of numbers that are 1 if it is so, and 0 else. */
export interface WriterSignals {
  /** The process ends. */
  readonly endsAt: number;
  /** The thread is in a transaction. */
  readonly busyAt: number;
  /** Somebody waits for it. */
  readonly hurryAt: number;
}

/** A batch to write. */
export interface WriterTask {
  readonly chunks: readonly SharedChunk[];
  /** Over how many milliseconds what it takes of a processor may be spread. */
  readonly spreadMs: number;
}

/** What the thread answers to each task: nothing, or why the transaction failed. */
export interface WriterAnswer {
  readonly problem?: { readonly message: string; readonly code: unknown };
}

/** A key as lmdb is given it here: where its bytes are. None is ever read. */
interface KeyAt {
  bytes: Uint8Array;
  start: number;
  end: number;
}

/** Of lmdb, what is used here. */
interface Table {
  putSync(key: KeyAt, record: Uint8Array, options?: { readonly append: boolean }): boolean;
  removeSync(key: KeyAt): boolean;
  clearSync(): void;
  getStats(): { readonly treeLeafPageCount: number; readonly treeBranchPageCount: number };
}

interface Environment {
  openDB(name: string, options: object): Table;
  transactionSync(run: () => void): void;
  childTransaction(run: () => void): void;
  close(): Promise<void>;
}

export type WriterParts = {
  readonly batchOperations: typeof batchOperations;
  readonly sealedRecords: typeof sealedRecords;
};

/**
 * Runs batches, one transaction each: the program of a thread, see program-text.ts.
 *
 * Changes of pairs are made in children of the transaction, a thousand in each. LMDB lists the pages that a transaction has changed by their
 * numbers, and lmdb gives those that are free from the highest down: each goes before all that are listed, which then move. With
 * 25,000 pages that took half of the thread's time. A child has a list of its own, and at its end the two are merged. But a list has room
 * for 131,071 pages: one transaction writes some out when it is full, and a child can write out only its own. So there are none where
 * that might happen.
 *
 * A write that nobody waits for is given time: between the children the thread sleeps, so that it takes a little of a processor for long and
 * not all of one for a moment. The pages go to the disk at the end, as ever.
 */
export function writeBatches(require: NodeJS.Require, parts: WriterParts): void {
  const { getPriority, setPriority } = require('node:os') as typeof import('node:os');
  const worker = require('node:worker_threads') as typeof import('node:worker_threads');
  const { crc32 } = require('node:zlib') as typeof import('node:zlib');
  const parent = worker.parentPort as MessagePort;
  const { lmdbPath, path, tables: names, format, niceness, signals: memory, places } = worker.workerData as WriterData;
  const { sealKind, removeKind, clearKind, packedKind } = format;
  const { endsAt, busyAt, hurryAt } = places;
  const rowsPerCheck = 512;
  const operationsPerChild = 1024;
  const childrenPagesMax = 100_000;
  const pageBytes = 4096;
  /** MDB_TXN_FULL and MDB_BAD_TXN: that of a child may only say that it is of no use any more. */
  const childFailures: readonly unknown[] = [-30788, -30782];
  const append = { append: true };

  const key: KeyAt = { bytes: new Uint8Array(0), start: 0, end: 0 };
  const idBytes = Buffer.allocUnsafeSlow(8);
  const signals = new Int32Array(memory);
  const isPairs = names.map((name) => name.startsWith('pairs'));
  const { keyStart, keyEnd, recordEnd, gather, inOrder } = parts.batchOperations(format, isPairs, pageBytes);
  const { copy, sealPair, sealSession } = parts.sealedRecords(crc32);
  const binary = { encoding: 'binary', keyEncoder: { writeKey } };
  const root = openEnvironment();
  const tables = names.map((name) => root.openDB(name, binary));

  makeLessUrgent();
  parent.on('message', onTask);

  function openEnvironment(): Environment {
    const { open } = require(lmdbPath) as { open(options: object): Environment };
    return open({ path, overlappingSync: false, eventTurnBatching: false, ...binary });
  }

  function writeKey({ bytes, start, end }: KeyAt, target: Buffer, to: number): number {
    for (let at = 0; at < end - start; at++) target[to + at] = bytes[start + at] as number;
    return to + end - start;
  }

  function keyAt(bytes: Uint8Array, start: number, end: number): KeyAt {
    key.bytes = bytes;
    key.start = start;
    key.end = end;
    return key;
  }

  function sessionKey(id: number): KeyAt {
    idBytes.writeUInt32BE(Math.floor(id / 2 ** 32), 0);
    idBytes.writeUInt32BE(id >>> 0, 4);
    return keyAt(idBytes, 0, 8);
  }

  /** Clients come first. Only Linux takes it for the thread and not for the process. Refused, the thread is as urgent as they are. */
  function makeLessUrgent(): void {
    try {
      if (process.platform === 'linux') setPriority(Math.min(19, getPriority() + niceness));
    } catch {}
  }

  function onTask(task: WriterTask | null): void {
    if (task === null) return void root.close().then(() => parent.close());
    Atomics.store(signals, busyAt, 1);
    try {
      checkEnd();
      write(task);
      parent.postMessage({} satisfies WriterAnswer);
    } catch (error) {
      const { message, code } = error as NodeJS.ErrnoException;
      parent.postMessage({ problem: { message, code } } satisfies WriterAnswer);
    } finally {
      Atomics.store(signals, busyAt, 0);
      Atomics.notify(signals, busyAt);
    }
  }

  function checkEnd(): void {
    if (Atomics.load(signals, endsAt) === 1) throw new Error('the process ends');
  }

  function write(task: WriterTask): void {
    const beganMs = performance.now();
    const { chunks, clears, pairs, others, pairBytes, largePairs } = gather(task.chunks);
    const ordered = inOrder(chunks, pairs);
    const hasChildren = mostPages(pairs.count, pairBytes, largePairs) <= childrenPagesMax;
    // What clears a table comes first, and what makes all of it count last. An error aborts the whole of it.
    const transact = (runPairs: () => void) =>
      root.transactionSync(() => {
        run(chunks, clears);
        runPairs();
        run(chunks, others);
      });
    try {
      transact(() => (hasChildren ? runInChildren(chunks, ordered, beganMs, task.spreadMs) : run(chunks, ordered)));
    } catch (error) {
      if (!hasChildren || !childFailures.includes((error as { readonly code?: unknown }).code)) throw error;
      transact(() => run(chunks, ordered));
    }
  }

  /**
   * The most pages that changes of pairs may change: leaves that are there, half full ones of what comes to them, and the pages beside
   * them of values that do not fit into half a page; and all branches.
   */
  function mostPages(changes: number, pairBytes: number, largePairs: number): number {
    let pages = (2 * pairBytes) / pageBytes + 2 * largePairs;
    for (const [number, table] of tables.entries()) {
      if (!isPairs[number]) continue;
      const { treeLeafPageCount, treeBranchPageCount } = table.getStats();
      pages += Math.min(changes, treeLeafPageCount) + treeBranchPageCount;
    }
    return pages;
  }

  function runInChildren(chunks: readonly Buffer[], operations: Operations, beganMs: number, spreadMs: number): void {
    const { count } = operations;
    for (let from = 0; from < count; from += operationsPerChild) {
      sleepUntil(beganMs + (spreadMs * from) / count);
      root.childTransaction(() => run(chunks, operations, from, Math.min(from + operationsPerChild, count)));
    }
  }

  /** Unless somebody waits. */
  function sleepUntil(atMs: number): void {
    const earlyMs = atMs - performance.now();
    if (earlyMs >= 1) Atomics.wait(signals, hurryAt, 0, earlyMs);
  }

  function run(chunks: readonly Buffer[], { places, count }: Operations, from = 0, to = count): void {
    for (let i = from; i < to; i++) {
      if ((i - from) % rowsPerCheck === 0) checkEnd();
      runOne(chunks[places[2 * i] as number] as Buffer, places[2 * i + 1] as number);
    }
  }

  function runOne(bytes: Buffer, at: number): void {
    const kind = bytes[at] as number;
    const number = bytes[at + 1] as number;
    const table = tables[number] as Table;
    const start = keyStart(at);
    const middle = keyEnd(bytes, at);
    const end = recordEnd(bytes, at);
    if (kind === clearKind) table.clearSync();
    else if (kind === packedKind) install(copy(bytes, middle, end), number);
    else if (kind === removeKind) table.removeSync(keyAt(bytes, start, middle));
    else {
      const seal = isPairs[number] ? sealPair : sealSession;
      const record = kind === sealKind ? seal(bytes, start, middle, end) : copy(bytes, middle, end);
      table.putSync(keyAt(bytes, start, middle), record);
    }
  }

  /** Rows of a snapshot, as in kv/packed-rows.ts. Whoever gave them has checked them. */
  function install(rows: Buffer, number: number): void {
    let at = 0;
    const varuint = () => {
      let value = 0;
      for (let factor = 1; ; factor *= 128) {
        const byte = rows[at++] as number;
        value += (byte & 0x7f) * factor;
        if (byte < 0x80) return value;
      }
    };
    const take = (length: number) => {
      at += length;
      return at - length;
    };
    for (let row = 0; at < rows.length; row++) {
      if (row % rowsPerCheck === 0) checkEnd();
      const isPair = rows[at++] === 0;
      const first = varuint();
      const rowKey = isPair ? keyAt(rows, take(first), at) : sessionKey(first);
      const table = tables[isPair ? number : number + 1] as Table;
      const length = varuint();
      const record = rows.subarray(take(length), at);
      // They mostly come in order. Appended they fill LMDB's pages; put in between, they leave every page half empty.
      if (!table.putSync(rowKey, record, append)) table.putSync(rowKey, record);
    }
  }
}
