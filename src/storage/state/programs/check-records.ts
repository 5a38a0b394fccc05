/** What the program says, a line of JSON each. */
export type CheckLine =
  /** First: whatever else is run in its place does not say it. */
  | { readonly type: 'begin' }
  | { readonly type: 'progress'; readonly records: number }
  | { readonly type: 'problem'; readonly where: string; readonly problem: string }
  | ({ readonly type: 'end' } & FoundRecords);

export interface FoundRecords {
  /** Undefined: no checkpoint was ever made. */
  readonly appliedIndex: number | undefined;
  readonly keys: number;
  readonly sessions: number;
  /** Of keys and values. */
  readonly bytes: number;
  /** False: the time was over before all was read. */
  readonly isWhole: boolean;
}

/** Of lmdb, what is used here. */
interface Table {
  get(key: Buffer): Buffer | undefined;
  getBinaryFast(key: Buffer): Buffer | undefined;
  getKeys(): Iterable<unknown>;
  getRange(range: { readonly start: Buffer }): Iterable<{ readonly key: Buffer; readonly value: Buffer }>;
  getStats(): { readonly entryCount: number };
}

interface Environment extends Table {
  openDB(name: string, options: object): Table;
}

/**
 * Opens an environment as a reader and checks every record in it: its checksum; that the keys ascend; that each key is
 * found where a search for it looks, since a bit that changed in a branch of the tree hides keys whose own bytes are
 * sound; that there are as many as the tree says. At most 100 problems are told. The program of a process, see program-text.ts, whose
 * arguments are the path of lmdb, how many milliseconds it may read, and the environment's directory.
 *
 * What it knows of the records stands in state-codec.ts and sealed-record.ts; row 0 of the sessions is none (cluster-register.ts), nor are
 * those from 2^52 on (expiry-table.ts).
 */
export function checkRecords(require: NodeJS.Require): void {
  const { writeSync } = require('node:fs') as typeof import('node:fs');
  const { crc32 } = require('node:zlib') as typeof import('node:zlib');
  const [lmdbPath, readMs, path] = process.argv.slice(1) as [string, string, string];
  const known = ['heads', 'pairs0', 'pairs1', 'sessions0', 'sessions1'];
  const problemsMax = 100;
  const progressMs = 500;
  const recordsPerLook = 1024;
  const binary = { keyEncoding: 'binary', encoding: 'binary' };
  const registerRow = Buffer.alloc(8);
  const expiryRows = Buffer.from('0010000000000000', 'hex');
  const untilMs = Date.now() + Number(readMs);

  let appliedIndex: number | undefined;
  let generation = 0;
  let keys = 0;
  let sessions = 0;
  let bytes = 0;
  let isWhole = true;
  let problems = 0;
  let records = 0;
  let saidMs = Date.now();
  let highestRevision = 0;

  say({ type: 'begin' });
  const { open } = require(lmdbPath) as { open(options: object): Environment };
  const root = open({ path, readOnly: true, ...binary });
  checkAll();
  say({ type: 'end', appliedIndex, keys, sessions, bytes, isWhole });
  process.exit(0);

  function say(line: CheckLine): void {
    writeSync(1, `${JSON.stringify(line)}\n`);
  }

  function report(where: string, problem: string): void {
    if (++problems <= problemsMax) say({ type: 'problem', where, problem });
  }

  function checkAll(): void {
    const names = [...root.getKeys()].map((name) => String(name).replace(/\0+$/, ''));
    const tableNamed = (name: string) => `table ${JSON.stringify(name)}`;
    for (const name of names) if (!known.includes(name)) report(tableNamed(name), 'no such table was made');
    for (const name of known) if (!names.includes(name)) report(tableNamed(name), 'it is missing');
    if (names.includes('heads')) readHead(root.openDB('heads', binary));
    for (const name of names) {
      if (!/^(pairs|sessions)[01]$/.test(name)) continue;
      try {
        checkTable(
          root.openDB(name, binary),
          tableNamed(name),
          name.startsWith('pairs'),
          name.endsWith(String(generation)),
        );
      } catch (error) {
        report(tableNamed(name), (error as Error).message);
      }
    }
    if (highestRevision > (appliedIndex ?? 0)) {
      report("the record 'head'", `a key has revision ${highestRevision}, the state ends at ${appliedIndex}`);
    }
  }

  function readHead(heads: Table): void {
    const head = heads.get(Buffer.from('head'));
    if (head === undefined) return;
    if (!isSealed(head, 0)) {
      report("the record 'head'", 'the checksum does not fit');
      return;
    }
    generation = head[4] as number;
    appliedIndex = varuint(head, 5);
  }

  function checkTable(table: Table, name: string, isPairs: boolean, isPresent: boolean): void {
    let last: Buffer | undefined;
    let count = 0;
    for (const { key, value } of table.getRange({ start: Buffer.from([0]) })) {
      const where = isPairs ? `key ${JSON.stringify(key.toString('latin1'))}` : `session ${sessionId(key)}`;
      checkRecord(key, value, where, isPairs, isPresent);
      if (last !== undefined && Buffer.compare(last, key) >= 0) report(where, 'it is out of order');
      if (!isFound(table, key, value)) report(where, 'a search does not find it');
      last = Buffer.from(key);
      count++;
      if (isPresent) tally(key, value, isPairs);
      if (++records % recordsPerLook === 0 && isTimeOver()) return;
    }
    const { entryCount } = table.getStats();
    if (entryCount !== count) report(name, `${entryCount} records are due, ${count} are there`);
  }

  function checkRecord(key: Buffer, value: Buffer, where: string, isPairs: boolean, isPresent: boolean): void {
    // As everywhere: over the key as a text of one character a byte, which is not the bytes unless they are all ASCII.
    const seed = isPairs ? crc32(key.toString('latin1')) : key.length === 8 ? key.readUInt32BE(4) : 0;
    if (!isSealed(value, seed)) report(where, 'the checksum does not fit');
    else if (isPairs && isPresent && appliedIndex !== undefined) {
      highestRevision = Math.max(highestRevision, varuint(value, 4));
    }
  }

  function isSealed(value: Buffer, seed: number): boolean {
    return value.length >= 4 && value.readUInt32BE(0) === crc32(value.subarray(4), seed);
  }

  /** With the record that it has, as its checksum tells. */
  function isFound(table: Table, key: Buffer, value: Buffer): boolean {
    const checksum = value.length < 4 ? undefined : value.readUInt32BE(0);
    const again = table.getBinaryFast(key);
    return again !== undefined && (checksum === undefined || again.readUInt32BE(0) === checksum);
  }

  function tally(key: Buffer, value: Buffer, isPairs: boolean): void {
    if (isPairs) {
      keys++;
      bytes += key.length + value.length;
    } else if (!key.equals(registerRow) && Buffer.compare(key, expiryRows) < 0) sessions++;
  }

  function isTimeOver(): boolean {
    const nowMs = Date.now();
    if (nowMs > untilMs) isWhole = false;
    else if (nowMs - saidMs > progressMs) {
      saidMs = nowMs;
      say({ type: 'progress', records });
    }
    return !isWhole;
  }

  function sessionId(key: Buffer): string {
    return key.length === 8 ? String(key.readBigUInt64BE(0)) : key.toString('hex');
  }

  function varuint(source: Buffer, start: number): number {
    let value = 0;
    let at = start;
    for (let factor = 1; ; factor *= 128) {
      const byte = source[at++];
      if (byte === undefined) return Number.NaN;
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) return value;
    }
  }
}
