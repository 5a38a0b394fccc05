import { type ByteReader, type ByteWriter, DecodeError } from '../base/bytes.ts';
import type { Configuration, Member, PastConfiguration } from '../cluster/configuration.ts';
import type { Origin } from '../cluster/origin.ts';
import { type QuorumSizes, quorumProblem } from '../omnipaxos/quorum.ts';
import { decodeBoundClusterId, encodeClusterId } from './cluster-id-codec.ts';
import { type Codec, listCodec, optionalCodec, wordCodec } from './codec.ts';
import { addressBytesMax, membersMax, pastConfigurationsMax, storageIdBytesMax } from './limits.ts';

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

/** Most bytes of a time in ISO 8601. */
export const timeBytesMax = 40;

const originKindCodec = wordCodec<Origin['kind']>({ restored: 0, recovered: 1 });

const originCodec: Codec<Origin | undefined> = optionalCodec({
  encode: (writer, origin) => {
    originKindCodec.encode(writer, origin.kind);
    encodeClusterId(writer, origin.clusterId);
    writer.varuint(origin.index).text(origin.fingerprint).text(origin.madeAt);
  },
  decode: (reader) => ({
    kind: originKindCodec.decode(reader),
    clusterId: decodeBoundClusterId(reader),
    index: reader.varuint(),
    fingerprint: reader.text(storageIdBytesMax),
    madeAt: reader.text(timeBytesMax),
  }),
});

/** A configuration: id · start index · members (id, address, storage id) · quorum sizes, if not majorities · the past, if known · origin, if any. */
export function encodeConfiguration(writer: ByteWriter, configuration: Configuration): void {
  writer.varuint(configuration.configurationId).varuint(configuration.startIndex);
  membersCodec.encode(writer, configuration.members);
  quorumCodec.encode(writer, configuration.quorum);
  pastCodec.encode(writer, configuration.past);
  originCodec.encode(writer, configuration.origin);
}

/** Throws DecodeError also for members out of order and for quorums that need not meet. */
export function decodeConfiguration(reader: ByteReader): Configuration {
  const configurationId = reader.varuint();
  const startIndex = reader.varuint();
  const members = membersCodec.decode(reader);
  const quorum = quorumCodec.decode(reader);
  const past = pastCodec.decode(reader);
  const origin = originCodec.decode(reader);
  const problem = membersProblem(members) ?? (quorum && quorumProblem(quorum, members.length));
  if (problem !== undefined) throw new DecodeError(problem);
  const optional = { ...(quorum && { quorum }), ...(past && { past }), ...(origin && { origin }) };
  return { configurationId, startIndex, members, ...optional };
}

function membersProblem(members: readonly Member[]): string | undefined {
  let above = 0;
  for (const { id } of members) {
    if (id <= above) return `member ${id} after ${above}: ids must be positive and ascend`;
    above = id;
  }
  return undefined;
}
