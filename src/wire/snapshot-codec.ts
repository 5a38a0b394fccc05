import { type ByteReader, type ByteWriter, fromByteString, toByteString } from '../base/bytes.ts';
import { keyBytesMax } from '../kv/command.ts';
import type { SnapshotCursor, SnapshotRow } from '../kv/state-store.ts';
import { type Codec, listCodec, unionCodec } from './codec.ts';

/** Most rows in one chunk of a snapshot. */
const rowsPerChunkMax = 262_144;

const codes = { pair: 0, session: 1 } as const;

/** One row of a snapshot. */
const snapshotRowCodec: Codec<SnapshotRow> = unionCodec<SnapshotRow>(codes, {
  pair: {
    encode: (writer, row) => {
      writeKey(writer, row.key);
      writer.bytes(row.value).varuint(row.revision);
    },
    decode: (reader) => ({ type: 'pair', key: readKey(reader), value: reader.bytes(), revision: reader.varuint() }),
  },
  session: {
    encode: (writer, row) => {
      writer.varuint(row.id).bytes(row.bytes);
    },
    decode: (reader) => ({ type: 'session', id: reader.varuint(), bytes: reader.bytes() }),
  },
});

export const snapshotRowsCodec: Codec<readonly SnapshotRow[]> = listCodec(snapshotRowCodec, rowsPerChunkMax);

/** Where a snapshot goes on. */
export const snapshotCursorCodec: Codec<SnapshotCursor> = unionCodec<SnapshotCursor>(codes, {
  pair: {
    encode: (writer, cursor) => writeKey(writer, cursor.key),
    decode: (reader) => ({ type: 'pair', key: readKey(reader) }),
  },
  session: {
    encode: (writer, cursor) => {
      writer.varuint(cursor.id);
    },
    decode: (reader) => ({ type: 'session', id: reader.varuint() }),
  },
});

function writeKey(writer: ByteWriter, key: string): void {
  writer.bytes(fromByteString(key));
}

function readKey(reader: ByteReader): string {
  return toByteString(reader.bytes(keyBytesMax));
}
