// Load for etcd: gRPC over HTTP/2, framed by hand, as lean as can be. A gRPC library costs several times the CPU of this, on
// the cores that etcd itself needs.
//
// Every request of a connection has the same method, so its headers are indexed after the first one, as any gRPC client
// does. A unary call that fails has no message in its answer, so headers of answers need not be decoded.
import { randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import { ClosedLoop, EachKey, Outgoing, randomKey, report, SteadyLoop, task, writeDigits } from './task.mjs';

const types = { data: 0, headers: 1, reset: 3, settings: 4, ping: 6, goAway: 7, windowUpdate: 8 };
const flags = { ack: 1, endStream: 1, endHeaders: 4 };
const frameHeaderBytes = 9;
const windowMax = 2 ** 31 - 1;
const windowAtFirst = 65_535;
/** Streams that are open at a time are fewer by far. */
const ringSize = 65_536;

const isPut = ['put', 'fill', 'steadyPut'].includes(task.operation);
const method = `/etcdserverpb.KV/${isPut ? 'Put' : 'Range'}`;
const keyPrefix = 'bench/';

function frame(type, flag, stream, payload) {
  const bytes = Buffer.alloc(frameHeaderBytes + payload.length);
  bytes.writeUIntBE(payload.length, 0, 3);
  bytes[3] = type;
  bytes[4] = flag;
  bytes.writeUInt32BE(stream, 5);
  payload.copy(bytes, frameHeaderBytes);
  return bytes;
}

/** A protobuf field of bytes, under 128 of them with its length in one byte, else two. */
function bytesField(number, bytes) {
  const length = bytes.length < 128 ? [bytes.length] : [(bytes.length & 127) | 128, bytes.length >> 7];
  return Buffer.concat([Buffer.from([(number << 3) | 2, ...length]), bytes]);
}

function message() {
  const key = bytesField(1, Buffer.from(keyPrefix.padEnd(task.keyBytes, '0')));
  if (isPut) return Buffer.concat([key, bytesField(2, randomBytes(task.valueBytes))]);
  // RangeRequest.serializable = 7: answered by the member asked.
  return task.operation === 'localGet' ? Buffer.concat([key, Buffer.from([7 << 3, 1])]) : key;
}

/** Five bytes before a gRPC message: not compressed, and its length. */
function grpcMessage(bytes) {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(bytes.length, 1);
  return Buffer.concat([head, bytes]);
}

const text = (string) => Buffer.concat([Buffer.from([string.length]), Buffer.from(string)]);

/** HPACK: POST and http of the static table; the rest goes into the dynamic table, in this order. */
function firstHeaders(authority) {
  return Buffer.concat([
    Buffer.from([0x83, 0x86]),
    ...[Buffer.from([0x44]), text(method)],
    ...[Buffer.from([0x41]), text(authority)],
    ...[Buffer.from([0x5f]), text('application/grpc')],
    ...[Buffer.from([0x40]), text('te'), text('trailers')],
  ]);
}

/** The same by index: 62 is what was added last. */
const laterHeaders = Buffer.from([0x83, 0x86, 0x80 | 65, 0x80 | 64, 0x80 | 63, 0x80 | 62]);

const data = frame(types.data, flags.endStream, 0, grpcMessage(message()));
const dataBytes = data.length - frameHeaderBytes;
const template = Buffer.concat([frame(types.headers, flags.endHeaders, 0, laterHeaders), data]);
const dataAt = template.length - data.length;
// After the frame header: 5 bytes of gRPC, tag and length of the key.
const digitsFrom = dataAt + frameHeaderBytes + 5 + 2 + keyPrefix.length;
const digitsTo = digitsFrom - keyPrefix.length + task.keyBytes;
/** Least bytes of an answer with a value in it. */
const answerBytesMin = isPut ? 1 : task.valueBytes;

class Connection {
  #socket;
  #outgoing;
  #onAnswer;
  #rest = Buffer.alloc(0);
  #nextStream = 1;
  #slots = new Int32Array(ringSize);
  #answerBytes = new Int32Array(ringSize);
  /** What we may still send before the server gives more room. */
  #sendWindow = windowAtFirst;
  /** What we have read since we last gave room. */
  #unacknowledged = 0;
  /** Slots and keys that wait for room. */
  #waiting = [];

  /** `onAnswer(slot, isGood)`. */
  constructor(onAnswer) {
    this.#onAnswer = onAnswer;
  }

  async open(endpoint) {
    const [host, port] = endpoint.split(':');
    this.#socket = connect({ host, port: Number(port), noDelay: true });
    this.#outgoing = new Outgoing(this.#socket);
    await new Promise((resolve, reject) => {
      this.#socket.once('connect', resolve);
      this.#socket.once('error', reject);
    });
    this.#socket.on('close', () => {
      throw new Error(`${endpoint} closed the connection`);
    });
    this.#socket.on('data', (bytes) => this.#onData(bytes));
    this.#socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
    // Settings: no push (2), windows of streams (4).
    this.#socket.write(frame(types.settings, 0, 0, Buffer.from([0, 2, 0, 0, 0, 0, 0, 4, 0x7f, 0xff, 0xff, 0xff])));
    this.#giveRoom(windowMax - windowAtFirst);
    this.#authority = endpoint;
  }

  #authority;

  send(keyNumber, slot) {
    if (this.#sendWindow < dataBytes) {
      this.#waiting.push([keyNumber, slot]);
      return;
    }
    this.#sendWindow -= dataBytes;
    const stream = this.#nextStream;
    this.#nextStream += 2;
    const place = (stream >> 1) % ringSize;
    this.#slots[place] = slot;
    this.#answerBytes[place] = 0;
    if (stream === 1) this.#sendFirst(keyNumber);
    else this.#sendLater(stream, keyNumber);
  }

  close() {
    this.#socket.removeAllListeners('close');
    this.#socket.destroy();
  }

  #sendFirst(keyNumber) {
    const bytes = Buffer.concat([frame(types.headers, flags.endHeaders, 1, firstHeaders(this.#authority)), data]);
    const at = bytes.length - data.length;
    bytes.writeUInt32BE(1, at + 5);
    writeDigits(bytes, at + digitsFrom - dataAt, at + digitsTo - dataAt, keyNumber);
    this.#socket.write(bytes);
  }

  #sendLater(stream, keyNumber) {
    const at = this.#outgoing.reserve(template.length);
    const { buffer } = this.#outgoing;
    template.copy(buffer, at);
    buffer.writeUInt32BE(stream, at + 5);
    buffer.writeUInt32BE(stream, at + dataAt + 5);
    writeDigits(buffer, at + digitsFrom, at + digitsTo, keyNumber);
  }

  #onData(bytes) {
    const all = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
    let at = 0;
    while (all.length - at >= frameHeaderBytes) {
      const length = all.readUIntBE(at, 3);
      if (all.length - at - frameHeaderBytes < length) break;
      this.#onFrame(all, at, length);
      at += frameHeaderBytes + length;
    }
    this.#rest = all.subarray(at);
  }

  #onFrame(all, at, length) {
    const type = all[at + 3];
    const flag = all[at + 4];
    const stream = all.readUInt32BE(at + 5);
    const payload = at + frameHeaderBytes;
    switch (type) {
      case types.data:
        this.#answerBytes[(stream >> 1) % ringSize] += length;
        this.#onRead(length);
        break;
      case types.headers:
        if (flag & flags.endStream) this.#settle(stream);
        break;
      case types.reset:
        this.#answerBytes[(stream >> 1) % ringSize] = 0;
        this.#settle(stream);
        break;
      case types.windowUpdate:
        if (stream === 0) this.#onRoom(all.readUInt32BE(payload));
        break;
      case types.settings:
        if (!(flag & flags.ack)) this.#socket.write(frame(types.settings, flags.ack, 0, Buffer.alloc(0)));
        break;
      case types.ping:
        if (!(flag & flags.ack)) {
          this.#socket.write(frame(types.ping, flags.ack, 0, all.subarray(payload, payload + length)));
        }
        break;
      case types.goAway:
        throw new Error(`etcd sends us away: ${all.toString('latin1', payload + 8, payload + length)}`);
    }
  }

  #settle(stream) {
    const place = (stream >> 1) % ringSize;
    this.#onAnswer(this.#slots[place], this.#answerBytes[place] >= answerBytesMin);
  }

  #onRead(bytes) {
    this.#unacknowledged += bytes;
    if (this.#unacknowledged < 2 ** 30) return;
    this.#giveRoom(this.#unacknowledged);
    this.#unacknowledged = 0;
  }

  #giveRoom(bytes) {
    const room = Buffer.alloc(4);
    room.writeUInt32BE(bytes);
    this.#socket.write(frame(types.windowUpdate, 0, 0, room));
  }

  #onRoom(bytes) {
    this.#sendWindow += bytes;
    while (this.#waiting.length > 0 && this.#sendWindow >= dataBytes) this.send(...this.#waiting.shift());
  }
}

let load;
const connections = Array.from({ length: Math.min(task.clients, task.outstanding) }, () => {
  return new Connection((slot, isGood) => load.done(slot, isGood));
});
await Promise.all(connections.map((connection, at) => connection.open(task.endpoints[at % task.endpoints.length])));
const connectionOf = (slot) => connections[slot % connections.length];
const begin = (slot) => connectionOf(slot).send(randomKey(), slot);
if (task.operation === 'fill') load = new EachKey((slot, keyNumber) => connectionOf(slot).send(keyNumber, slot));
else load = task.operation === 'steadyPut' ? new SteadyLoop(begin) : new ClosedLoop(begin);
report(await load.run());
for (const connection of connections) connection.close();
