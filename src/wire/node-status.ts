import type { ByteReader, ByteWriter } from '../base/bytes.ts';
import type { NodeStatus } from './client-message.ts';
import { JsonFields } from './json-fields.ts';
import { addressBytesMax, membersMax } from './limits.ts';

const statusTextMax = 64 * 1024;
const clusterIdTextMax = 64;

/** A status travels as JSON text: it is rare, and people read it in traces. */
export function encodeNodeStatus(writer: ByteWriter, status: NodeStatus): void {
  writer.text(JSON.stringify(status));
}

/** Fields that are not known here are passed over, so that a newer node may say more. Throws DecodeError. */
export function decodeNodeStatus(reader: ByteReader): NodeStatus {
  const fields = JsonFields.parse('a node status', reader.text(statusTextMax), statusTextMax);
  return {
    clusterId: fields.optionalText('clusterId', clusterIdTextMax),
    nodeId: fields.integer('nodeId', 1),
    address: fields.text('address', addressBytesMax),
    state: fields.word('state', ['forming', 'member', 'joining', 'standby']),
    configurationId: fields.integer('configurationId'),
    leader: fields.optionalInteger('leader', 1),
    decidedIndex: fields.integer('decidedIndex'),
    appliedIndex: fields.integer('appliedIndex'),
    members: fields.objects('members', membersMax).map((member) => ({
      id: member.integer('id', 1),
      address: member.text('address', addressBytesMax),
    })),
  };
}
