import type { ByteReader, ByteWriter } from '../base/bytes.ts';
import type { Ballot } from '../omnipaxos/ballot.ts';
import type { BallotPayload } from '../omnipaxos/messages.ts';
import { readFlag, type UnionCodecs, writeFlag } from './codec.ts';

/** A ballot: n · priority · pid (varuints). */
export function encodeBallot(writer: ByteWriter, ballot: Ballot): void {
  writer.varuint(ballot.n).varuint(ballot.priority).varuint(ballot.pid);
}

export function decodeBallot(reader: ByteReader): Ballot {
  return { n: reader.varuint(), priority: reader.varuint(), pid: reader.varuint() };
}

/** Messages of ballot leader election, fields in the order of their interfaces. */
export const ballotCodecs: UnionCodecs<BallotPayload> = {
  HeartbeatRequest: {
    encode: (writer, payload) => {
      writer.varuint(payload.round);
    },
    decode: (reader) => ({ type: 'HeartbeatRequest', round: reader.varuint() }),
  },
  HeartbeatReply: {
    encode: (writer, payload) => {
      writer.varuint(payload.round);
      encodeBallot(writer, payload.ballot);
      encodeBallot(writer, payload.leader);
      writeFlag(writer, payload.happy);
    },
    decode: (reader) => ({
      type: 'HeartbeatReply',
      round: reader.varuint(),
      ballot: decodeBallot(reader),
      leader: decodeBallot(reader),
      happy: readFlag(reader),
    }),
  },
};
