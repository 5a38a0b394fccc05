import type { ByteReader, ByteWriter } from '../base/bytes.ts';
import type {
  CatchUpStatus,
  ConfigurationSummary,
  DiskStatus,
  LackOfRoom,
  LogHeld,
  NodeSpace,
  NodeStatus,
} from './client-message.ts';
import { JsonFields } from './json-fields.ts';
import { addressBytesMax, membersMax, pastConfigurationsMax, storageIdBytesMax } from './limits.ts';

const statusTextMax = 64 * 1024;
const clusterIdTextMax = 64;
/** Most nodes that a node tells of in one list: members of now and before, and standbys. */
const nodesMax = 1024;

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
    disk: decodeDiskStatus(fields.object('disk')),
    members: fields.objects('members', membersMax).map((member) => ({
      id: member.integer('id', 1),
      address: member.text('address', addressBytesMax),
      ...optional('storageId', member.optionalText('storageId', storageIdBytesMax)),
    })),
    storageId: fields.text('storageId', storageIdBytesMax),
    trimmedIndex: fields.integer('trimmedIndex'),
    connected: fields.nodeIds('connected', nodesMax),
    ...(fields.has('history') && {
      history: fields.objects('history', pastConfigurationsMax + 1).map(decodeSummary),
    }),
    ...optional('catchUp', decodeCatchUp(fields.optionalObject('catchUp'))),
    ...optional('logHeld', decodeLogHeld(fields.optionalObject('logHeld'))),
    ...optional('space', decodeSpace(fields.optionalObject('space'))),
    fullNodes: fields.nodeIds('fullNodes', membersMax),
  };
}

function decodeSummary(fields: JsonFields): ConfigurationSummary {
  return {
    configurationId: fields.integer('configurationId'),
    startIndex: fields.integer('startIndex'),
    members: fields.nodeIds('members', membersMax),
  };
}

function decodeCatchUp(fields: JsonFields | undefined): CatchUpStatus | undefined {
  return (
    fields && {
      stage: fields.word('stage', ['plan', 'state', 'install', 'log']),
      bytesReceived: fields.integer('bytesReceived'),
      ...optional('bytesTotal', fields.optionalInteger('bytesTotal')),
      fromIndex: fields.integer('fromIndex'),
      targetIndex: fields.integer('targetIndex'),
      donors: fields.objects('donors', nodesMax).map((donor) => ({
        id: donor.integer('id', 1),
        bytes: donor.integer('bytes'),
      })),
      ...optional('lackOfRoom', decodeLackOfRoom(fields.optionalObject('lackOfRoom'))),
    }
  );
}

function decodeLackOfRoom(fields: JsonFields | undefined): LackOfRoom | undefined {
  return fields && { neededBytes: fields.integer('neededBytes'), roomBytes: fields.integer('roomBytes') };
}

function decodeLogHeld(fields: JsonFields | undefined): LogHeld | undefined {
  return fields && { fromIndex: fields.integer('fromIndex'), readers: fields.nodeIds('readers', nodesMax) };
}

function decodeSpace(space: JsonFields | undefined): NodeSpace | undefined {
  return (
    space && {
      level: space.word('level', ['ok', 'low', 'full']),
      usedBytes: space.integer('usedBytes'),
      capacityBytes: space.integer('capacityBytes'),
    }
  );
}

/** A field that is left out where nothing is known. */
function optional<Name extends string, Value>(name: Name, value: Value | undefined): { [Key in Name]?: Value } {
  return value === undefined ? {} : ({ [name]: value } as { [Key in Name]?: Value });
}

function decodeDiskStatus(fields: JsonFields): DiskStatus {
  return {
    flushP50Ms: fields.optionalDuration('flushP50Ms'),
    flushP99Ms: fields.optionalDuration('flushP99Ms'),
    flushes: fields.integer('flushes'),
  };
}
