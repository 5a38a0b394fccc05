import { type ByteReader, type ByteWriter, DecodeError } from '../base/bytes.ts';
import type { Ballot } from '../omnipaxos/ballot.ts';
import type { BallotPayload } from '../omnipaxos/messages.ts';
import { optionalCodec, readFlag, type UnionCodecs, writeFlag } from './codec.ts';
import { ballotNumberMax } from './limits.ts';

/** A ballot: n · priority · pid (varuints). */
export function encodeBallot(writer: ByteWriter, ballot: Ballot): void {
  writer.varuint(ballot.n).varuint(ballot.priority).varuint(ballot.pid);
}

export function decodeBallot(reader: ByteReader): Ballot {
  const ballot = { n: reader.varuint(), priority: reader.varuint(), pid: reader.varuint() };
  if (ballot.n > ballotNumberMax) throw new DecodeError(`ballot ${ballot.n}: at most ${ballotNumberMax} is due`);
  return ballot;
}

const optionalBallotCodec = optionalCodec({ encode: encodeBallot, decode: decodeBallot });

/** Messages of ballot leader election, fields in the order of their interfaces. */
export const ballotCodecs: UnionCodecs<BallotPayload> = {
  HeartbeatRequest: {
    encode: (writer, payload) => {
      writer.varuint(payload.round);
      optionalBallotCodec.encode(writer, payload.stands);
    },
    decode: (reader) => {
      const round = reader.varuint();
      const stands = optionalBallotCodec.decode(reader);
      return { type: 'HeartbeatRequest', round, ...(stands && { stands }) };
    },
  },
  HeartbeatReply: {
    encode: (writer, payload) => {
      writer.varuint(payload.round);
      encodeBallot(writer, payload.ballot);
      encodeBallot(writer, payload.leader);
      writeFlag(writer, payload.happy);
      optionalBallotCodec.encode(writer, payload.yieldsTo);
    },
    decode: (reader) => {
      const round = reader.varuint();
      const ballot = decodeBallot(reader);
      const leader = decodeBallot(reader);
      const happy = readFlag(reader);
      const yieldsTo = optionalBallotCodec.decode(reader);
      return { type: 'HeartbeatReply', round, ballot, leader, happy, ...(yieldsTo && { yieldsTo }) };
    },
  },
};
