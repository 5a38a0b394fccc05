import { Worker } from 'node:worker_threads';
import { findLmdb } from './lmdb-path.ts';
import { type StateBatch, stateTableNames } from './state-batch.ts';

/** What the thread answers: nothing, or why the transaction failed. */
interface Answer {
  readonly problem?: { readonly message: string; readonly code: unknown };
}

interface Waiting {
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/** The thread makes little garbage that lives, and keeps nothing. */
const resourceLimits = { maxYoungGenerationSizeMb: 4, maxOldGenerationSizeMb: 256 };

/**
 * Positions in the memory that tells the thread that the process ends, the process whether the thread is in a transaction, and
 * the thread that somebody waits for it.
 */
const endsAt = 0;
const busyAt = 1;
const hurryAt = 2;
const stateBytes = 12;
/** How long the end of the process waits for a transaction, which is aborted but for its last step: the flush, milliseconds. */
const exitPatienceMs = 5_000;

/** Those whose threads run. */
const running = new Set<Int32Array>();

/** A thread that is ended in the middle of a transaction would wait for its own lock, and the process for it, for ever. */
function abortTransactions(): void {
  for (const state of running) {
    Atomics.store(state, endsAt, 1);
    wake(state);
    if (Atomics.load(state, busyAt) === 1) Atomics.wait(state, busyAt, 1, exitPatienceMs);
  }
}

/** Ends a pause that the thread makes, and any other in what it writes now. */
function wake(state: Int32Array): void {
  Atomics.store(state, hurryAt, 1);
  Atomics.notify(state, hurryAt);
}

/** Where processors are scarce, the thread gets about a third of the share that one of those has which serve clients. */
const niceness = 5;

/*
 * Runs batches, one transaction each. A large one takes up to seconds, in which the node's own thread must answer heartbeats
 * and clients: hence a thread. Its program is a text, so that it runs the same from source, from the compiled files and from a
 * bundle. It knows the format of a batch (state-batch.ts) and what the checksums of records cover (state-codec.ts).
 *
 * Changes of pairs are made about in the order of the keys, by the five bytes behind what all keys begin with: LMDB then finds
 * each of its pages once, while it is still in the processor's cache. Those of the same key keep their order.
 *
 * They are made in children of the transaction, a thousand in each. LMDB lists the pages that a transaction has changed by their
 * numbers, and lmdb gives those that are free from the highest down: each goes before all that are listed, which then move. With
 * 25,000 pages that took half of the thread's time. A child has a list of its own, and at its end the two are merged. But a list has room
 * for 131,071 pages: one transaction writes some out when it is full, and a child can write out only its own. So there are none where
 * that might happen.
 *
 * Over many keys this is a quarter of all that members do. So no change gets a view of memory where it can be helped: its key goes to lmdb
 * from where it is, and views of key and record serve as long as the lengths stay the same.
 *
 * A write that nobody waits for is given time: between the children the thread sleeps, so that it takes a little of a processor for long and
 * not all of one for a moment. The pages go to the disk at the end, as ever.
 */
const program = `
const { getPriority, setPriority } = require('node:os');
const { parentPort, workerData } = require('node:worker_threads');
const { crc32 } = require('node:zlib');
const { open } = require(workerData.lmdbPath);
// A key as lmdb is given it: where its bytes are. None is ever read.
const key = { bytes: undefined, start: 0, end: 0 };
function keyAt(bytes, start, end) {
  key.bytes = bytes;
  key.start = start;
  key.end = end;
  return key;
}
function writeKey({ bytes, start, end }, target, to) {
  for (let from = start; from < end; from++) target[to++] = bytes[from];
  return to;
}
const binary = { encoding: 'binary', keyEncoder: { writeKey } };
const root = open({ path: workerData.path, overlappingSync: false, eventTurnBatching: false, ...binary });
const tables = workerData.tables.map((name) => root.openDB(name, binary));
const isPairs = workerData.tables.map((name) => name.startsWith('pairs'));
const state = new Int32Array(workerData.state);
// Clients come first. Only Linux takes it for the thread and not for the process. Refused, the thread is as urgent as they are.
try {
  if (process.platform === 'linux') setPriority(Math.min(19, getPriority() + workerData.niceness));
} catch {}
const append = { append: true };
const overtaken = 0x80, seal = 2, remove = 3, clear = 4, packed = 5, headerBytes = 8, indexMax = 2 ** 24, endsAt = 0, busyAt = 1, hurryAt = 2, rowsPerCheck = 512;
const operationsPerChild = 1024, childrenPagesMax = 100_000, pageBytes = 4096, childFailures = [-30788, -30782]; // MDB_TXN_FULL, MDB_BAD_TXN

// pairBytes: keys and records; largePairs: those that do not fit into half a page.
function operationsOf(chunks) {
  const clears = [], pairs = [], others = [];
  let pairBytes = 0, largePairs = 0;
  for (const { bytes, used } of chunks) {
    for (let at = 0; at < used; ) {
      const kind = bytes[at], table = bytes[at + 1];
      const size = bytes.readUInt16LE(at + 2) + bytes.readUInt32LE(at + 4);
      if ((table & overtaken) === 0) {
        const isPair = isPairs[table] && kind !== packed && kind !== clear;
        (isPair ? pairs : kind === clear ? clears : others).push(bytes, at);
        if (isPair) pairBytes += size;
        if (isPair && 2 * size > pageBytes) largePairs++;
      }
      at += headerBytes + size;
    }
  }
  return { clears, pairs, others, pairBytes, largePairs };
}

const keyEnd = (bytes, at) => at + headerBytes + bytes.readUInt16LE(at + 2);

function commonLength(operations) {
  const [first, start] = operations;
  let length = keyEnd(first, start) - start - headerBytes;
  for (let i = 2; i < operations.length && length > 0; i += 2) {
    const bytes = operations[i], at = operations[i + 1];
    length = Math.min(length, bytes.readUInt16LE(at + 2));
    for (let j = 0; j < length; j++) {
      if (bytes[at + headerBytes + j] !== first[start + headerBytes + j]) length = j;
    }
  }
  return length;
}

function inOrder(operations) {
  const count = operations.length / 2;
  if (count < 2 || count > indexMax) return operations;
  const skipped = headerBytes + commonLength(operations);
  // Five bytes of the key, then the index in three: sorted as numbers of 64 bits, the lower half of which comes first in memory.
  const words = new Uint32Array(2 * count);
  for (let i = 0; i < count; i++) {
    const bytes = operations[2 * i], at = operations[2 * i + 1];
    const from = at + skipped, end = keyEnd(bytes, at);
    const byte = (n) => (from + n < end ? bytes[from + n] : 0);
    words[2 * i + 1] = (byte(0) << 24) | (byte(1) << 16) | (byte(2) << 8) | byte(3);
    words[2 * i] = (byte(4) << 24) | i;
  }
  new BigUint64Array(words.buffer).sort();
  const ordered = [];
  for (let i = 0; i < count; i++) {
    const index = words[2 * i] & (indexMax - 1);
    ordered.push(operations[2 * index], operations[2 * index + 1]);
  }
  return ordered;
}

function checkEnd() {
  if (Atomics.load(state, endsAt) === 1) throw new Error('the process ends');
}

// lmdb takes the address of what it writes, and cannot of shared memory.
let scratch = Buffer.allocUnsafeSlow(64 * 1024);
function ownCopy(bytes, start, end) {
  makeRoom(end - start);
  return scratch.subarray(0, bytes.copy(scratch, 0, start, end));
}

let viewKeyBytes = -1, viewRecordBytes = -1, covered, sealedRecord;
function makeRoom(bytes) {
  if (bytes <= scratch.length) return;
  scratch = Buffer.allocUnsafeSlow(bytes);
  viewKeyBytes = -1;
}

// The checksum is over the key and what follows it, which therefore come to lie behind four bytes; it then takes the last four of the key.
function sealPair(bytes, start, middle, end) {
  const keyBytes = middle - start, recordBytes = end - middle;
  makeRoom(end - start);
  if (keyBytes !== viewKeyBytes || recordBytes !== viewRecordBytes) {
    viewKeyBytes = keyBytes;
    viewRecordBytes = recordBytes;
    covered = scratch.subarray(4, keyBytes + recordBytes);
    sealedRecord = scratch.subarray(keyBytes, keyBytes + recordBytes);
  }
  bytes.copy(scratch, 0, start, end);
  let highest = 0;
  for (let at = keyBytes - 1; at >= 0; at--) {
    const byte = scratch[at];
    scratch[at + 4] = byte;
    highest |= byte;
  }
  // Over the key as a text of one character a byte.
  const checksum = highest < 0x80 ? crc32(covered) : crc32(sealedRecord.subarray(4), crc32(bytes.latin1Slice(start, middle)));
  scratch.writeUInt32BE(checksum, keyBytes);
  return sealedRecord;
}

function sealSession(bytes, start, middle, end) {
  const record = ownCopy(bytes, middle, end);
  record.writeUInt32BE(crc32(record.subarray(4), bytes.readUInt32BE(start + 4)), 0);
  return record;
}

function run(operations) {
  for (let i = 0; i < operations.length; i += 2) {
    if (i % (2 * rowsPerCheck) === 0) checkEnd();
    const bytes = operations[i], at = operations[i + 1];
    const kind = bytes[at], number = bytes[at + 1], table = tables[number];
    const start = at + headerBytes, middle = keyEnd(bytes, at), end = middle + bytes.readUInt32LE(at + 4);
    if (kind === clear) table.clearSync();
    else if (kind === packed) install(ownCopy(bytes, middle, end), number);
    else if (kind === remove) table.removeSync(keyAt(bytes, start, middle));
    else {
      const seals = isPairs[number] ? sealPair : sealSession;
      const record = kind === seal ? seals(bytes, start, middle, end) : ownCopy(bytes, middle, end);
      table.putSync(keyAt(bytes, start, middle), record);
    }
  }
}

// Rows of a snapshot, as in packed-rows.ts: kind, key (length first) or id, record (length first). Whoever gave them has checked them.
function install(rows, number) {
  let at = 0;
  const varuint = () => {
    let value = 0;
    for (let factor = 1; ; factor *= 128) {
      const byte = rows[at++];
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) return value;
    }
  };
  for (let row = 0; at < rows.length; row++) {
    if (row % rowsPerCheck === 0) checkEnd();
    const isPair = rows[at++] === 0;
    const first = varuint();
    const key = isPair ? keyAt(rows, at, (at += first)) : sessionKey(first);
    const table = tables[isPair ? number : number + 1];
    const length = varuint();
    const record = rows.subarray(at, (at += length));
    // They mostly come in order. Appended they fill LMDB's pages; put in between, they leave every page half empty.
    if (!table.putSync(key, record, append)) table.putSync(key, record);
  }
}

const idBytes = Buffer.allocUnsafeSlow(8);
function sessionKey(id) {
  idBytes.writeUInt32BE(Math.floor(id / 2 ** 32), 0);
  idBytes.writeUInt32BE(id >>> 0, 4);
  return keyAt(idBytes, 0, 8);
}

// Sleeps until the part of its time has passed that is done of its work, unless somebody waits for it.
function keepPace({ beganMs, spreadMs }, part) {
  const earlyMs = beganMs + spreadMs * part - performance.now();
  if (earlyMs >= 1) Atomics.wait(state, hurryAt, 0, earlyMs);
}

function write({ chunks, spreadMs }) {
  const pace = { beganMs: performance.now(), spreadMs };
  const operations = operationsOf(chunks.map(({ memory, used }) => ({ bytes: Buffer.from(memory), used })));
  const ordered = inOrder(operations.pairs);
  const hasChildren = mostPages(operations) <= childrenPagesMax;
  try {
    transact(operations, ordered, hasChildren, pace);
  } catch (error) {
    // That of a child may only say that it is of no use any more.
    if (!hasChildren || !childFailures.includes(error.code)) throw error;
    transact(operations, ordered, false, pace);
  }
}

// What clears a table comes first, and what makes all of it count last. An error aborts the whole of it.
function transact({ clears, others }, ordered, hasChildren, pace) {
  root.transactionSync(() => {
    run(clears);
    if (hasChildren) runInChildren(ordered, pace);
    else run(ordered);
    run(others);
  });
}

function runInChildren(operations, pace) {
  for (let from = 0; from < operations.length; from += 2 * operationsPerChild) {
    keepPace(pace, from / operations.length);
    const part = operations.slice(from, from + 2 * operationsPerChild);
    root.childTransaction(() => run(part));
  }
}

// The most pages that operations on pairs may change: leaves that are there, half full ones of what comes to them, and the pages
// beside them of values that do not fit into half a page; and all branches.
function mostPages({ pairs, pairBytes, largePairs }) {
  const changes = pairs.length / 2;
  let pages = (2 * pairBytes) / pageBytes + 2 * largePairs;
  for (const [number, table] of tables.entries()) {
    if (!isPairs[number]) continue;
    const { treeLeafPageCount, treeBranchPageCount } = table.getStats();
    pages += Math.min(changes, treeLeafPageCount) + treeBranchPageCount;
  }
  return pages;
}

parentPort.on('message', (task) => {
  if (task === null) return void root.close().then(() => parentPort.close());
  Atomics.store(state, busyAt, 1);
  try {
    checkEnd();
    write(task);
    parentPort.postMessage({});
  } catch (error) {
    parentPort.postMessage({ problem: { message: error.message, code: error.code } });
  } finally {
    Atomics.store(state, busyAt, 0);
    Atomics.notify(state, busyAt);
  }
});
`;

/**
 * Writes to the LMDB environment in a directory from a thread of its own: all or nothing of a batch, durable when its promise
 * resolves, in the order of the calls. The thread starts with the first batch; without any under way it keeps no process alive.
 */
export class StateWriter {
  readonly #path: string;
  readonly #lmdbPath = findLmdb();
  readonly #state = new Int32Array(new SharedArrayBuffer(stateBytes));
  #thread: Worker | undefined;
  #waiting: Waiting[] = [];
  #failure: Error | undefined;

  /** The environment's tables must exist, see {@link stateTableNames}. */
  constructor(path: string) {
    this.#path = path;
  }

  /**
   * `batch` must not change until it is done. `spreadMs`: what it takes of a processor may be spread over so many milliseconds, unless
   * {@link hurry} is called meanwhile. Rejects as LMDB does: then nothing of it is written.
   */
  write(batch: StateBatch, spreadMs: number): Promise<void> {
    if (this.#failure) return Promise.reject(this.#failure);
    this.#thread ??= this.#start();
    const thread = this.#thread;
    if (this.#waiting.length > 0) this.hurry();
    else Atomics.store(this.#state, hurryAt, 0);
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      thread.ref();
      const chunks = batch.chunks.map(({ memory, used }) => ({ memory, used }));
      thread.postMessage({ chunks, spreadMs });
    });
  }

  /** Somebody waits for what is under way. */
  hurry(): void {
    wake(this.#state);
  }

  /** Waits for what was given, then ends the thread. */
  async close(): Promise<void> {
    const thread = this.#thread;
    if (!thread || this.#failure) return;
    this.#failure = new Error('the writer of the state is closed');
    this.hurry();
    thread.ref();
    const ended = new Promise((resolve) => thread.once('exit', resolve));
    thread.postMessage(null);
    await ended;
  }

  #start(): Worker {
    const workerData = {
      lmdbPath: this.#lmdbPath,
      path: this.#path,
      tables: stateTableNames,
      niceness,
      state: this.#state.buffer,
    };
    // No flags of the process: a loader or a profiler is none of the thread's business.
    const thread = new Worker(program, { eval: true, workerData, execArgv: [], env: {}, resourceLimits });
    if (running.size === 0) process.on('exit', abortTransactions);
    running.add(this.#state);
    thread.on('message', (answer: Answer) => this.#onAnswer(thread, answer));
    thread.on('error', (error) => this.#onEnd(error));
    thread.on('exit', () => this.#onEnd(new Error('the thread that writes the state ended')));
    return thread;
  }

  #onAnswer(thread: Worker, { problem }: Answer): void {
    const waiting = this.#waiting.shift();
    if (this.#waiting.length === 0) thread.unref();
    if (problem) waiting?.reject(Object.assign(new Error(problem.message), { code: problem.code }));
    else waiting?.resolve();
  }

  #onEnd(error: unknown): void {
    running.delete(this.#state);
    if (running.size === 0) process.off('exit', abortTransactions);
    this.#failure ??= error instanceof Error ? error : new Error(String(error));
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const { reject } of waiting) reject(this.#failure);
  }
}
