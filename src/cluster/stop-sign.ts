import { ByteReader, ByteWriter, DecodeError } from '../base/bytes.ts';
import type { StopSign } from '../omnipaxos/entry.ts';
import type { QuorumSizes } from '../omnipaxos/quorum.ts';
import { addressBytesMax, membersMax, storageIdBytesMax } from '../wire/limits.ts';
import type { Configuration, Member } from './configuration.ts';

const formatVersion = 1;

/** What the StopSign carries for the next configuration: who is reached where, bound to which data directory. */
export function encodeMembers(members: readonly Member[], quorum?: QuorumSizes): Uint8Array {
  const writer = new ByteWriter().u8(formatVersion).varuint(members.length);
  for (const member of members) writer.varuint(member.id).text(member.address).text(member.storageId);
  writer.varuint(quorum?.prepare ?? 0).varuint(quorum?.accept ?? 0);
  return writer.finish();
}

/** The StopSign that opened `configuration`, as {@link configurationOf} reads it. */
export function stopSignOf({ configurationId, members, quorum }: Configuration): StopSign {
  return { configId: configurationId, nodes: members.map(({ id }) => id), metadata: encodeMembers(members, quorum) };
}

/** The configuration that a StopSign at `index` opens. Throws DecodeError if its metadata is not ours. */
export function configurationOf(stopSign: StopSign, index: number): Configuration {
  const reader = new ByteReader(stopSign.metadata ?? new Uint8Array(0));
  const version = reader.u8();
  if (version !== formatVersion) throw new DecodeError(`the StopSign is of format ${version}, not ${formatVersion}`);
  const members: Member[] = [];
  for (let count = reader.count(membersMax); count > 0; count--) {
    const id = reader.varuint();
    members.push({ id, address: reader.text(addressBytesMax), storageId: reader.text(storageIdBytesMax) });
  }
  const prepare = reader.varuint();
  const accept = reader.varuint();
  reader.end();
  const configuration = { configurationId: stopSign.configId, startIndex: index + 1, members };
  return prepare === 0 ? configuration : { ...configuration, quorum: { prepare, accept } };
}
