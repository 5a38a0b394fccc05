import { keyBytesMax } from '../kv/command-limits.ts';
import type { RowChunk, SnapshotCursor } from '../kv/state-store.ts';
import { type Codec, listCodec, optionalCodec, readFlag, unionCodec, writeFlag } from './codec.ts';
import { cutsPerMessageMax } from './limits.ts';

const codes = { pair: 0, session: 1 } as const;

/** Where a snapshot goes on. */
const snapshotCursorCodec: Codec<SnapshotCursor> = unionCodec<SnapshotCursor>(codes, {
  pair: {
    encode: (writer, cursor) => {
      writer.byteString(cursor.key);
    },
    decode: (reader) => ({ type: 'pair', key: reader.byteString(keyBytesMax) }),
  },
  session: {
    encode: (writer, cursor) => {
      writer.varuint(cursor.id);
    },
    decode: (reader) => ({ type: 'session', id: reader.varuint() }),
  },
});

export const optionalCursorCodec = optionalCodec(snapshotCursorCodec);
export const cursorsCodec = listCodec(snapshotCursorCodec, cutsPerMessageMax);

/** The rows stay bytes: only stores look into them. */
export const rowChunkCodec: Codec<RowChunk> = {
  encode: (writer, chunk) => {
    writer.u32(chunk.rows.checksum).bytes(chunk.rows.bytes);
    optionalCursorCodec.encode(writer, chunk.last);
    writeFlag(writer, chunk.done);
  },
  decode: (reader) => {
    const checksum = reader.u32();
    const bytes = reader.bytes();
    return { rows: { bytes, checksum }, last: optionalCursorCodec.decode(reader), done: readFlag(reader) };
  },
};
