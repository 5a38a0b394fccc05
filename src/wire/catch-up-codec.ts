import { decodeBoundClusterId, encodeClusterId } from './cluster-id-codec.ts';
import { optionalCodec, readFlag, type UnionCodecs, writeFlag } from './codec.ts';
import { decodeConfiguration, encodeConfiguration } from './configuration-codec.ts';
import { entriesCodec } from './entries-codec.ts';
import type { Announce, LogRequest, LogSegment, StateChunk, StateRequest } from './peer-message.ts';
import { snapshotCursorCodec, snapshotRowsCodec } from './snapshot-codec.ts';

const optionalCursorCodec = optionalCodec(snapshotCursorCodec);
const optionalRowsCodec = optionalCodec(snapshotRowsCodec);

/** Messages of handover and catch-up, fields in the order of their interfaces. */
export const catchUpCodecs: UnionCodecs<Announce | LogRequest | LogSegment | StateRequest | StateChunk> = {
  Announce: {
    encode: (writer, payload) => {
      encodeClusterId(writer, payload.clusterId);
      encodeConfiguration(writer, payload.configuration);
    },
    decode: (reader) => ({
      type: 'Announce',
      clusterId: decodeBoundClusterId(reader),
      configuration: decodeConfiguration(reader),
    }),
  },
  LogRequest: {
    encode: (writer, payload) => {
      writer.varuint(payload.from).varuint(payload.to);
    },
    decode: (reader) => ({ type: 'LogRequest', from: reader.varuint(), to: reader.varuint() }),
  },
  LogSegment: {
    encode: (writer, payload) => {
      writer.varuint(payload.from);
      entriesCodec.encode(writer, payload.entries);
      writer.varuint(payload.decidedIndex).varuint(payload.trimmedIndex);
    },
    decode: (reader) => ({
      type: 'LogSegment',
      from: reader.varuint(),
      entries: entriesCodec.decode(reader),
      decidedIndex: reader.varuint(),
      trimmedIndex: reader.varuint(),
    }),
  },
  StateRequest: {
    encode: (writer, payload) => {
      writer.varuint(payload.snapshotIndex);
      optionalCursorCodec.encode(writer, payload.cursor);
    },
    decode: (reader) => ({
      type: 'StateRequest',
      snapshotIndex: reader.varuint(),
      cursor: optionalCursorCodec.decode(reader),
    }),
  },
  StateChunk: {
    encode: (writer, payload) => {
      writer.varuint(payload.snapshotIndex);
      optionalCursorCodec.encode(writer, payload.cursor);
      optionalRowsCodec.encode(writer, payload.rows);
      writeFlag(writer, payload.done);
    },
    decode: (reader) => ({
      type: 'StateChunk',
      snapshotIndex: reader.varuint(),
      cursor: optionalCursorCodec.decode(reader),
      rows: optionalRowsCodec.decode(reader),
      done: readFlag(reader),
    }),
  },
};
