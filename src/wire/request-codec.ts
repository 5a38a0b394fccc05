import { type ByteReader, type ByteWriter, DecodeError } from '../base/bytes.ts';
import { optionalAddressCodec } from './address-codec.ts';
import {
  type ClientRequest,
  type Consistency,
  type RequestBody,
  requestOf,
  type TargetNode,
} from './client-message.ts';
import {
  type Codec,
  listCodec,
  optionalBytesCodec,
  optionalCodec,
  readFlag,
  unionCodec,
  wordCodec,
  writeFlag,
} from './codec.ts';
import { backupNameBytesMax, membersMax, storageIdBytesMax, timeoutMsMax } from './limits.ts';

const consistencyCodec = wordCodec<Consistency>({ linearizable: 0, local: 1 });

const optionalStorageIdCodec: Codec<string | undefined> = optionalCodec({
  encode: (writer: ByteWriter, storageId: string) => {
    writer.text(storageId);
  },
  decode: (reader: ByteReader) => reader.text(storageIdBytesMax),
});

const targetNodesCodec: Codec<readonly TargetNode[]> = listCodec(
  {
    encode: (writer, node) => {
      writer.varuint(node.id);
      optionalAddressCodec.encode(writer, node.address);
      writeFlag(writer, node.isRebuilt === true);
      optionalStorageIdCodec.encode(writer, node.storageId);
    },
    decode: (reader) => {
      const id = reader.varuint();
      const address = optionalAddressCodec.decode(reader);
      const isRebuilt = readFlag(reader);
      const storageId = optionalStorageIdCodec.decode(reader);
      const where = { ...(address !== undefined && { address }), ...(storageId !== undefined && { storageId }) };
      return { id, ...where, ...(isRebuilt && { isRebuilt }) };
    },
  },
  membersMax,
);

const optionalNumberCodec: Codec<number | undefined> = optionalCodec({
  encode: (writer: ByteWriter, number: number) => {
    writer.varuint(number);
  },
  decode: (reader: ByteReader) => reader.varuint(),
});

/** What `reconfigure` and `fill` say: who is to be a member, and in the place of which configuration. */
type Target = Omit<RequestBody & { readonly type: 'reconfigure' }, 'type'>;

function encodeTarget(writer: ByteWriter, { nodes, ifConfigurationId }: Target): void {
  targetNodesCodec.encode(writer, nodes);
  optionalNumberCodec.encode(writer, ifConfigurationId);
}

function decodeTarget(reader: ByteReader): Target {
  const nodes = targetNodesCodec.decode(reader);
  const ifConfigurationId = optionalNumberCodec.decode(reader);
  return { nodes, ...(ifConfigurationId !== undefined && { ifConfigurationId }) };
}

const bodyCodec: Codec<RequestBody> = unionCodec<RequestBody>(
  {
    write: 0,
    get: 1,
    list: 2,
    status: 3,
    reconfigure: 4,
    backupOpen: 5,
    backupRead: 6,
    backupClose: 7,
    fill: 8,
    watch: 9,
  },
  {
    write: {
      encode: (writer, body) => {
        writer.bytes(body.command);
      },
      decode: (reader) => ({ type: 'write', command: reader.bytes() }),
    },
    get: {
      encode: (writer, body) => {
        consistencyCodec.encode(writer, body.consistency);
        writer.bytes(body.key);
      },
      decode: (reader) => ({ type: 'get', consistency: consistencyCodec.decode(reader), key: reader.bytes() }),
    },
    list: {
      encode: (writer, body) => {
        consistencyCodec.encode(writer, body.consistency);
        writer.bytes(body.prefix);
        optionalBytesCodec.encode(writer, body.after);
        writer.varuint(body.limit);
      },
      decode: (reader) => ({
        type: 'list',
        consistency: consistencyCodec.decode(reader),
        prefix: reader.bytes(),
        after: optionalBytesCodec.decode(reader),
        limit: reader.varuint(),
      }),
    },
    watch: {
      encode: (writer, body) => {
        writer.bytes(body.key);
        writeFlag(writer, body.isPrefix);
        optionalNumberCodec.encode(writer, body.since);
        optionalBytesCodec.encode(writer, body.after);
        writer.varuint(body.waitMs);
      },
      decode: (reader) => ({
        type: 'watch',
        key: reader.bytes(),
        isPrefix: readFlag(reader),
        since: optionalNumberCodec.decode(reader),
        after: optionalBytesCodec.decode(reader),
        waitMs: reader.varuint(),
      }),
    },
    status: { encode: () => {}, decode: () => ({ type: 'status' }) },
    reconfigure: {
      encode: encodeTarget,
      decode: (reader) => ({ type: 'reconfigure', ...decodeTarget(reader) }),
    },
    fill: {
      encode: encodeTarget,
      decode: (reader) => ({ type: 'fill', ...decodeTarget(reader) }),
    },
    backupOpen: { encode: () => {}, decode: () => ({ type: 'backupOpen' }) },
    backupRead: {
      encode: (writer, body) => {
        writer.text(body.backup);
        optionalBytesCodec.encode(writer, body.after);
      },
      decode: (reader) => ({
        type: 'backupRead',
        backup: reader.text(backupNameBytesMax),
        after: optionalBytesCodec.decode(reader),
      }),
    },
    backupClose: {
      encode: (writer, body) => {
        writer.text(body.backup);
      },
      decode: (reader) => ({ type: 'backupClose', backup: reader.text(backupNameBytesMax) }),
    },
  },
);

/** One request: id · timeout in milliseconds · type (1) · fields. Limits of keys, commands and timeouts are the receiver's to judge. */
export const requestCodec: Codec<ClientRequest> = {
  encode: (writer, request) => {
    writer.varuint(request.id).varuint(request.timeoutMs);
    bodyCodec.encode(writer, request);
  },
  decode: (reader) => {
    const id = reader.varuint();
    const timeoutMs = reader.varuint();
    if (timeoutMs > timeoutMsMax)
      throw new DecodeError(`a timeout of ${timeoutMs} ms: at most ${timeoutMsMax} are due`);
    return requestOf(id, timeoutMs, bodyCodec.decode(reader));
  },
};
