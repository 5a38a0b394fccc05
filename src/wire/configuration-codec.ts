import { type ByteReader, type ByteWriter, DecodeError } from '../base/bytes.ts';
import type { Configuration, Member, PastConfiguration } from '../cluster/configuration.ts';
import { type QuorumSizes, quorumProblem } from '../omnipaxos/quorum.ts';
import { type Codec, listCodec, optionalCodec } from './codec.ts';
import { addressBytesMax, membersMax, pastConfigurationsMax } from './limits.ts';

/** Most bytes of the id of a data directory. */
export const storageIdBytesMax = 64;

const membersCodec: Codec<readonly Member[]> = listCodec(
  {
    encode: (writer, member) => {
      writer.varuint(member.id).text(member.address).text(member.storageId);
    },
    decode: (reader) => ({
      id: reader.varuint(),
      address: reader.text(addressBytesMax),
      storageId: reader.text(storageIdBytesMax),
    }),
  },
  membersMax,
);

const quorumCodec: Codec<QuorumSizes | undefined> = optionalCodec({
  encode: (writer, quorum) => {
    writer.varuint(quorum.prepare).varuint(quorum.accept);
  },
  decode: (reader) => ({ prepare: reader.varuint(), accept: reader.varuint() }),
});

const memberIdsCodec: Codec<readonly number[]> = listCodec(
  {
    encode: (writer: ByteWriter, id: number) => {
      writer.varuint(id);
    },
    decode: (reader: ByteReader) => reader.varuint(),
  },
  membersMax,
);

const pastCodec: Codec<readonly PastConfiguration[] | undefined> = optionalCodec(
  listCodec(
    {
      encode: (writer, { configurationId, startIndex, memberIds }) => {
        writer.varuint(configurationId).varuint(startIndex);
        memberIdsCodec.encode(writer, memberIds);
      },
      decode: (reader) => {
        const configurationId = reader.varuint();
        const startIndex = reader.varuint();
        return { configurationId, startIndex, memberIds: memberIdsCodec.decode(reader) };
      },
    },
    pastConfigurationsMax,
  ),
);

/** A configuration: id · start index · members (id, address, storage id) · quorum sizes, if not majorities · the past, if known. */
export function encodeConfiguration(writer: ByteWriter, configuration: Configuration): void {
  writer.varuint(configuration.configurationId).varuint(configuration.startIndex);
  membersCodec.encode(writer, configuration.members);
  quorumCodec.encode(writer, configuration.quorum);
  pastCodec.encode(writer, configuration.past);
}

/** Throws DecodeError also for members out of order and for quorums that need not meet. */
export function decodeConfiguration(reader: ByteReader): Configuration {
  const configurationId = reader.varuint();
  const startIndex = reader.varuint();
  const members = membersCodec.decode(reader);
  const quorum = quorumCodec.decode(reader);
  const past = pastCodec.decode(reader);
  const problem = membersProblem(members) ?? (quorum && quorumProblem(quorum, members.length));
  if (problem !== undefined) throw new DecodeError(problem);
  return { configurationId, startIndex, members, ...(quorum && { quorum }), ...(past && { past }) };
}

function membersProblem(members: readonly Member[]): string | undefined {
  let above = 0;
  for (const { id } of members) {
    if (id <= above) return `member ${id} after ${above}: ids must be positive and ascend`;
    above = id;
  }
  return undefined;
}
