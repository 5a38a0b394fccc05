// Load for ZooKeeper: its client protocol (jute records, each with its length before it) over plain sockets, as lean as can
// be. A session's answers come in the order of its requests.
//
// put: setData of a node that exists. get: sync, then getData, sent together: the linearizable read. localGet: getData.
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { ClosedLoop, EachKey, Outgoing, randomKey, report, task, writeDigits } from './task.mjs';

const opcodes = { create: 1, getData: 4, setData: 5, sync: 9, closeSession: -11 };
const sessionTimeoutMs = 30_000;
const settleMs = 500;
const parent = '/bench';
const keyPrefix = `${parent}/`;
const nodeExists = -110;

/** A request: 4 bytes of length, 4 of xid, 4 of opcode, then the record. */
function request(opcode, ...parts) {
  const body = Buffer.concat(parts);
  const frame = Buffer.alloc(12 + body.length);
  frame.writeInt32BE(frame.length - 4, 0);
  frame.writeInt32BE(opcode, 8);
  body.copy(frame, 12);
  return frame;
}

function int(value) {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}

function counted(bytes) {
  const content = Buffer.from(bytes);
  return Buffer.concat([int(content.length), content]);
}

const path = counted(keyPrefix.padEnd(task.keyBytes, '0'));
const digitsFrom = 12 + 4 + keyPrefix.length;
const digitsTo = 12 + 4 + task.keyBytes;
const value = counted(randomBytes(task.valueBytes));
/** One entry: all may do all. */
const openAcl = Buffer.concat([int(1), int(31), counted('world'), counted('anyone')]);

const templates = {
  create: request(opcodes.create, path, value, openAcl, int(0)),
  setData: request(opcodes.setData, path, value, int(-1)),
  getData: request(opcodes.getData, path, Buffer.from([0])),
  sync: request(opcodes.sync, path),
};

/** What a slot waits for. `passed`: the answer to a sync, after which that of the getData comes. */
const passed = -1;

class Session {
  #socket;
  #outgoing;
  #onAnswer;
  #rest = Buffer.alloc(0);
  #isConnected = false;
  #onConnected;
  #xid = 0;
  /** Slots in the order of their requests: a ring. */
  #slots = new Int32Array(262_144);
  #head = 0;
  #tail = 0;

  /** `onAnswer(slot, error, answer bytes)`. */
  constructor(onAnswer) {
    this.#onAnswer = onAnswer;
  }

  async open(endpoint) {
    const [host, port] = endpoint.split(':');
    this.#socket = connect({ host, port: Number(port), noDelay: true });
    this.#outgoing = new Outgoing(this.#socket);
    const connected = new Promise((resolve, reject) => {
      this.#onConnected = resolve;
      this.#socket.once('error', reject);
      this.#socket.once('close', () => reject(new Error(`${endpoint} closed the connection`)));
    });
    this.#socket.on('data', (bytes) => this.#onData(bytes));
    // Version, last zxid, timeout, session id, password, read-only.
    const hello = Buffer.concat([
      int(0),
      Buffer.alloc(8),
      int(sessionTimeoutMs),
      Buffer.alloc(8),
      counted(Buffer.alloc(16)),
      Buffer.from([0]),
    ]);
    this.#socket.write(counted(hello));
    await connected;
  }

  /** The parent of all keys; it may be there already. */
  createParent() {
    this.#send(request(opcodes.create, counted(parent), counted(''), openAcl, int(0)), passed);
  }

  send(template, keyNumber, slot) {
    const at = this.#send(template, slot);
    writeDigits(this.#outgoing.buffer, at + digitsFrom, at + digitsTo, keyNumber);
  }

  /** The server would else end the session by itself half a minute later, by a write in the middle of another measurement. */
  async close() {
    this.#socket.removeAllListeners('close');
    const closed = once(this.#socket, 'close');
    this.#send(request(opcodes.closeSession), passed);
    await closed;
  }

  #send(template, slot) {
    const at = this.#outgoing.reserve(template.length);
    const { buffer } = this.#outgoing;
    template.copy(buffer, at);
    this.#xid = (this.#xid + 1) & 0x3fffffff;
    buffer.writeInt32BE(this.#xid, at + 4);
    this.#slots[this.#tail++ & 262_143] = slot;
    return at;
  }

  #onData(bytes) {
    const all = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
    let at = 0;
    while (all.length - at >= 4) {
      const length = all.readInt32BE(at);
      if (all.length - at - 4 < length) break;
      this.#onFrame(all, at + 4, length);
      at += 4 + length;
    }
    this.#rest = all.subarray(at);
  }

  /** Answers: xid, zxid, error, record. */
  #onFrame(all, at, length) {
    if (!this.#isConnected) {
      this.#isConnected = true;
      this.#onConnected();
      return;
    }
    const slot = this.#slots[this.#head++ & 262_143];
    const error = all.readInt32BE(at + 12);
    if (slot === passed) {
      if (error !== 0 && error !== nodeExists) throw new Error(`ZooKeeper answered with error ${error}`);
    } else this.#onAnswer(slot, error, length - 16);
  }
}

const isRead = task.operation === 'get' || task.operation === 'localGet';
// The record of a getData: length and bytes of the value, and 68 bytes of stat.
const isGood = (error, bytes) => error === 0 && (!isRead || bytes === 4 + task.valueBytes + 68);

let load;
const sessions = Array.from({ length: Math.min(task.clients, task.outstanding) }, () => {
  return new Session((slot, error, bytes) => load.done(slot, isGood(error, bytes)));
});
await Promise.all(sessions.map((session, at) => session.open(task.endpoints[at % task.endpoints.length])));
// The first sync was seen to hang for 8 to 31 s, until some other write it seems: so not while the one that opens the session may be under way.
await delay(settleMs);
const sessionOf = (slot) => sessions[slot % sessions.length];

if (task.operation === 'fill') {
  for (const session of sessions) session.createParent();
  load = new EachKey((slot, keyNumber) => sessionOf(slot).send(templates.create, keyNumber, slot));
} else {
  load = new ClosedLoop((slot) => {
    const keyNumber = randomKey();
    const session = sessionOf(slot);
    if (task.operation === 'get') session.send(templates.sync, keyNumber, passed);
    session.send(isRead ? templates.getData : templates.setData, keyNumber, slot);
  });
}
report(await load.run());
await Promise.all(sessions.map((session) => session.close()));
