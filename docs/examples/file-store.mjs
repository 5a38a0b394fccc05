// A store for OmniPaxos in one file: each transition is a line of JSON, on disk before `commit()` returns.
// Checked by `omnikv/contracts`. It is simple, not fast, and its file only grows.
// @ts-check
import { closeSync, fdatasyncSync, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs';
import { bottomBallot, MemorySequence } from 'omnikv/omnipaxos';

/**
 * The log in memory, which notes each change for the file. Payloads must be JSON.
 * @extends {MemorySequence<any>}
 */
class NotedSequence extends MemorySequence {
  /** @type {{ name: 'append' | 'truncate' | 'trim' | 'reset', argument: any }[]} */
  changes = [];

  /** @override @param {readonly any[]} entries */
  append(entries) {
    super.append(entries);
    this.changes.push({ name: 'append', argument: [...entries] });
  }

  /** @override @param {number} index */
  truncate(index) {
    super.truncate(index);
    this.changes.push({ name: 'truncate', argument: index });
  }

  /** @override @param {number} index */
  trim(index) {
    super.trim(index);
    this.changes.push({ name: 'trim', argument: index });
  }

  /** @override @param {number} index */
  reset(index) {
    super.reset(index);
    this.changes.push({ name: 'reset', argument: index });
  }
}

/** JSON knows no bytes, and a StopSign's metadata are bytes. @this {any} @param {string} key */
function fromBytes(key) {
  const value = this[key];
  return value instanceof Uint8Array ? { $bytes: Buffer.from(value).toString('base64') } : value;
}

/** @param {string} _key @param {any} value */
const toBytes = (_key, value) =>
  value?.$bytes === undefined ? value : new Uint8Array(Buffer.from(value.$bytes, 'base64'));

/** Both storage seams in one file. */
export class FileStore {
  sequence = new NotedSequence();
  state = { promise: bottomBallot, acceptedRound: bottomBallot, decidedIndex: 0 };
  #writes = 0;
  #saved = JSON.stringify(this.state);
  #file;

  /** Opens the file at `path`, or makes it. @param {string} path */
  constructor(path) {
    this.#file = openSync(path, 'a+');
    const text = readFileSync(this.#file, 'utf8');
    // A crash may tear the last line. Nobody was told of it: it goes.
    const whole = text.slice(0, text.lastIndexOf('\n') + 1);
    ftruncateSync(this.#file, Buffer.byteLength(whole));
    for (const line of whole.split('\n').slice(0, -1)) {
      const { changes, state } = JSON.parse(line, toBytes);
      for (const { name, argument } of changes) this.#repeat(name, argument);
      this.state = state;
    }
    this.sequence.changes = [];
    this.#saved = JSON.stringify(this.state);
  }

  /** @param {'append' | 'truncate' | 'trim' | 'reset'} name @param {any} argument */
  #repeat(name, argument) {
    this.sequence[name](argument);
  }

  commit() {
    const { changes } = this.sequence;
    const state = JSON.stringify(this.state);
    if (changes.length > 0 || state !== this.#saved) {
      writeSync(this.#file, `{"changes":${JSON.stringify(changes, fromBytes)},"state":${state}}\n`);
      fdatasyncSync(this.#file);
      this.sequence.changes = [];
      this.#saved = state;
    }
    return ++this.#writes;
  }

  /** All that was committed. */
  durableWrite() {
    return this.#writes;
  }

  close() {
    closeSync(this.#file);
  }
}
