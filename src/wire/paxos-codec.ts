import type { ByteReader, ByteWriter } from '../base/bytes.ts';
import type { Ballot } from '../omnipaxos/ballot.ts';
import type { PaxosPayload } from '../omnipaxos/messages.ts';
import { decodeBallot, encodeBallot } from './ballot-codec.ts';
import { type Codec, optionalCodec, type UnionCodecs } from './codec.ts';
import { entriesCodec } from './entries-codec.ts';

const optionalEntriesCodec = optionalCodec(entriesCodec);

/** Messages of sequence consensus, fields in the order of their interfaces. */
export const paxosCodecs: UnionCodecs<PaxosPayload<Uint8Array>> = {
  Prepare: {
    encode: (writer, payload) => {
      encodeBallot(writer, payload.ballot);
      writer.varuint(payload.decidedIndex);
      encodeBallot(writer, payload.acceptedRound);
      writer.varuint(payload.acceptedIndex);
    },
    decode: (reader) => ({
      type: 'Prepare',
      ballot: decodeBallot(reader),
      decidedIndex: reader.varuint(),
      acceptedRound: decodeBallot(reader),
      acceptedIndex: reader.varuint(),
    }),
  },
  Promise: {
    encode: (writer, payload) => {
      encodeBallot(writer, payload.ballot);
      writer.varuint(payload.decidedIndex);
      encodeBallot(writer, payload.acceptedRound);
      writer.varuint(payload.acceptedIndex).varuint(payload.suffixFrom);
      optionalEntriesCodec.encode(writer, payload.suffix);
    },
    decode: (reader) => ({
      type: 'Promise',
      ballot: decodeBallot(reader),
      decidedIndex: reader.varuint(),
      acceptedRound: decodeBallot(reader),
      acceptedIndex: reader.varuint(),
      suffixFrom: reader.varuint(),
      suffix: optionalEntriesCodec.decode(reader),
    }),
  },
  AcceptSync: {
    encode: (writer, payload) => {
      encodeBallot(writer, payload.ballot);
      writer.varuint(payload.session).varuint(payload.decidedIndex).varuint(payload.syncIndex);
      entriesCodec.encode(writer, payload.suffix);
    },
    decode: (reader) => ({
      type: 'AcceptSync',
      ballot: decodeBallot(reader),
      session: reader.varuint(),
      decidedIndex: reader.varuint(),
      syncIndex: reader.varuint(),
      suffix: entriesCodec.decode(reader),
    }),
  },
  AcceptDecide: {
    encode: (writer, payload) => {
      encodeBallot(writer, payload.ballot);
      writer.varuint(payload.session).varuint(payload.counter);
      writer.varuint(payload.decidedIndex).varuint(payload.startIndex);
      entriesCodec.encode(writer, payload.entries);
    },
    decode: (reader) => ({
      type: 'AcceptDecide',
      ballot: decodeBallot(reader),
      session: reader.varuint(),
      counter: reader.varuint(),
      decidedIndex: reader.varuint(),
      startIndex: reader.varuint(),
      entries: entriesCodec.decode(reader),
    }),
  },
  Decide: {
    encode: (writer, payload) => {
      encodeBallot(writer, payload.ballot);
      writer.varuint(payload.session).varuint(payload.counter).varuint(payload.decidedIndex);
    },
    decode: (reader) => ({
      type: 'Decide',
      ballot: decodeBallot(reader),
      session: reader.varuint(),
      counter: reader.varuint(),
      decidedIndex: reader.varuint(),
    }),
  },
  Probe: {
    encode: (writer, payload) => {
      encodeBallot(writer, payload.ballot);
      writer.varuint(payload.session).varuint(payload.counter);
    },
    decode: (reader) => ({
      type: 'Probe',
      ballot: decodeBallot(reader),
      session: reader.varuint(),
      counter: reader.varuint(),
    }),
  },
  Behind: {
    encode: (writer, payload) => {
      encodeBallot(writer, payload.ballot);
      writer.varuint(payload.decidedIndex);
    },
    decode: (reader) => ({ type: 'Behind', ballot: decodeBallot(reader), decidedIndex: reader.varuint() }),
  },
  Accepted: {
    encode: (writer, payload) => {
      encodeBallot(writer, payload.ballot);
      writer.varuint(payload.acceptedIndex).varuint(payload.decidedIndex);
    },
    decode: (reader) => ({
      type: 'Accepted',
      ballot: decodeBallot(reader),
      acceptedIndex: reader.varuint(),
      decidedIndex: reader.varuint(),
    }),
  },
  NotAccepted: ballotOnly('NotAccepted'),
  PrepareRequest: ballotOnly('PrepareRequest'),
  ForwardProposals: {
    encode: (writer, payload) => {
      entriesCodec.encode(writer, payload.entries);
    },
    decode: (reader) => ({ type: 'ForwardProposals', entries: entriesCodec.decode(reader) }),
  },
  ReturnProposals: {
    encode: (writer, payload) => {
      entriesCodec.encode(writer, payload.entries);
    },
    decode: (reader) => ({ type: 'ReturnProposals', entries: entriesCodec.decode(reader) }),
  },
  ReadIndexRequest: {
    encode: (writer, payload) => {
      encodeBallot(writer, payload.ballot);
      writer.varuint(payload.readId);
    },
    decode: (reader) => ({ type: 'ReadIndexRequest', ballot: decodeBallot(reader), readId: reader.varuint() }),
  },
  ConfirmRequest: ballotAndRound('ConfirmRequest'),
  Confirm: ballotAndRound('Confirm'),
  ReadIndexReply: {
    encode: (writer, payload) => {
      writer.varuint(payload.readId).varuint(payload.readIndex);
    },
    decode: (reader) => ({ type: 'ReadIndexReply', readId: reader.varuint(), readIndex: reader.varuint() }),
  },
};

function ballotOnly<Type extends string>(type: Type): Codec<{ readonly type: Type; readonly ballot: Ballot }> {
  return {
    encode: (writer: ByteWriter, payload) => encodeBallot(writer, payload.ballot),
    decode: (reader: ByteReader) => ({ type, ballot: decodeBallot(reader) }),
  };
}

function ballotAndRound<Type extends string>(
  type: Type,
): Codec<{ readonly type: Type; readonly ballot: Ballot; readonly round: number }> {
  return {
    encode: (writer: ByteWriter, payload) => {
      encodeBallot(writer, payload.ballot);
      writer.varuint(payload.round);
    },
    decode: (reader: ByteReader) => ({ type, ballot: decodeBallot(reader), round: reader.varuint() }),
  };
}
