import { decodeBoundClusterId, encodeClusterId } from './cluster-id-codec.ts';
import { optionalCodec, readFlag, type UnionCodecs, writeFlag } from './codec.ts';
import { decodeConfiguration, encodeConfiguration } from './configuration-codec.ts';
import { entriesCodec } from './entries-codec.ts';
import type { CatchUpPayload } from './peer-message.ts';
import { cursorsCodec, optionalCursorCodec, rowChunkCodec } from './snapshot-codec.ts';

const optionalChunkCodec = optionalCodec(rowChunkCodec);

/** Messages of handover and catch-up, fields in the order of their interfaces. */
export const catchUpCodecs: UnionCodecs<CatchUpPayload> = {
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
  Fill: {
    encode: (writer, payload) => {
      encodeClusterId(writer, payload.clusterId);
      encodeConfiguration(writer, payload.configuration);
      writer.varuint(payload.index);
    },
    decode: (reader) => ({
      type: 'Fill',
      clusterId: decodeBoundClusterId(reader),
      configuration: decodeConfiguration(reader),
      index: reader.varuint(),
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
      writer.u32(payload.checksum).varuint(payload.decidedIndex).varuint(payload.trimmedIndex);
    },
    decode: (reader) => ({
      type: 'LogSegment',
      from: reader.varuint(),
      entries: entriesCodec.decode(reader),
      checksum: reader.u32(),
      decidedIndex: reader.varuint(),
      trimmedIndex: reader.varuint(),
    }),
  },
  DonorQuery: {
    encode: () => {},
    decode: () => ({ type: 'DonorQuery' }),
  },
  DonorStanding: {
    encode: (writer, payload) => {
      writer.varuint(payload.decidedIndex).varuint(payload.appliedIndex).varuint(payload.trimmedIndex);
      writeFlag(writer, payload.isLeader);
    },
    decode: (reader) => ({
      type: 'DonorStanding',
      decidedIndex: reader.varuint(),
      appliedIndex: reader.varuint(),
      trimmedIndex: reader.varuint(),
      isLeader: readFlag(reader),
    }),
  },
  SnapshotRequest: {
    encode: (writer, payload) => {
      writer.varuint(payload.index);
    },
    decode: (reader) => ({ type: 'SnapshotRequest', index: reader.varuint() }),
  },
  SnapshotOffer: {
    encode: (writer, payload) => {
      writer.varuint(payload.index);
      writeFlag(writer, payload.isHeld);
      writer.varuint(payload.appliedIndex).varuint(payload.rows).varuint(payload.bytes);
    },
    decode: (reader) => ({
      type: 'SnapshotOffer',
      index: reader.varuint(),
      isHeld: readFlag(reader),
      appliedIndex: reader.varuint(),
      rows: reader.varuint(),
      bytes: reader.varuint(),
    }),
  },
  CutsRequest: {
    encode: (writer, payload) => {
      writer.varuint(payload.index);
      optionalCursorCodec.encode(writer, payload.after);
      writer.varuint(payload.rowsPerCut);
    },
    decode: (reader) => ({
      type: 'CutsRequest',
      index: reader.varuint(),
      after: optionalCursorCodec.decode(reader),
      rowsPerCut: reader.varuint(),
    }),
  },
  Cuts: {
    encode: (writer, payload) => {
      writer.varuint(payload.index);
      optionalCursorCodec.encode(writer, payload.after);
      cursorsCodec.encode(writer, payload.cursors);
      writeFlag(writer, payload.done);
    },
    decode: (reader) => ({
      type: 'Cuts',
      index: reader.varuint(),
      after: optionalCursorCodec.decode(reader),
      cursors: cursorsCodec.decode(reader),
      done: readFlag(reader),
    }),
  },
  StateRequest: {
    encode: (writer, payload) => {
      writer.varuint(payload.index);
      optionalCursorCodec.encode(writer, payload.after);
      optionalCursorCodec.encode(writer, payload.upTo);
    },
    decode: (reader) => ({
      type: 'StateRequest',
      index: reader.varuint(),
      after: optionalCursorCodec.decode(reader),
      upTo: optionalCursorCodec.decode(reader),
    }),
  },
  StateChunk: {
    encode: (writer, payload) => {
      writer.varuint(payload.index);
      optionalCursorCodec.encode(writer, payload.after);
      optionalCursorCodec.encode(writer, payload.upTo);
      optionalChunkCodec.encode(writer, payload.chunk);
    },
    decode: (reader) => ({
      type: 'StateChunk',
      index: reader.varuint(),
      after: optionalCursorCodec.decode(reader),
      upTo: optionalCursorCodec.decode(reader),
      chunk: optionalChunkCodec.decode(reader),
    }),
  },
};
