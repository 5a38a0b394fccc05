import type { ByteReader, ByteWriter } from '../base/bytes.ts';
import { keyBytesMax } from '../kv/command-limits.ts';
import type { ClientOutcome, RefusalReason } from '../kv/outcome.ts';
import { addressCodec, optionalAddressCodec } from './address-codec.ts';
import {
  type ClientResponse,
  type FailureCode,
  type FailureOutcome,
  type NewcomerFilling,
  type ResponseBody,
  responseOf,
  type WireChange,
  type WirePair,
} from './client-message.ts';
import { decodeBoundClusterId, encodeClusterId } from './cluster-id-codec.ts';
import {
  type Codec,
  listCodec,
  optionalBytesCodec,
  optionalCodec,
  readFlag,
  unionCodec,
  wordCodec,
  writeFlag,
} from './codec.ts';
import {
  backupNameBytesMax,
  clusterNameBytesMax,
  membersMax,
  pairsPerAnswerMax,
  pairsPerBackupAnswerMax,
} from './limits.ts';
import { decodeNodeStatus, encodeNodeStatus } from './node-status.ts';

/** Most bytes of the message of a failure. */
const failureMessageBytesMax = 64 * 1024;

const refusalReasonCodec = wordCodec<RefusalReason>({
  sessionExpired: 0,
  numberForgotten: 1,
  windowExceeded: 2,
  malformed: 3,
  noSpace: 4,
  tooManyExpiring: 5,
});

const failureCodeCodec = wordCodec<FailureCode>({
  noMajority: 0,
  timeout: 1,
  notMember: 2,
  busy: 3,
  invalid: 4,
  tooLarge: 5,
  sessionExpired: 6,
  reconfiguring: 7,
  unreachable: 8,
  shuttingDown: 9,
  noSpace: 10,
});

const failureOutcomeCodec = wordCodec<FailureOutcome>({ notApplied: 0, unknown: 1 });

/** What applying a command gave. */
/** Of an outcome that has nothing but a revision. */
function revisionCodec<Type extends ClientOutcome['type']>(type: Type) {
  return {
    encode: (writer: ByteWriter, { revision }: { readonly revision: number }) => {
      writer.varuint(revision);
    },
    decode: (reader: ByteReader) => ({ type, revision: reader.varuint() }),
  };
}

const outcomeCodec: Codec<ClientOutcome> = unionCodec<ClientOutcome>(
  {
    put: 0,
    deleted: 1,
    sessionOpened: 2,
    refused: 3,
    conflict: 5,
    renewed: 6,
    transacted: 8,
    unmet: 9,
  },
  {
    conflict: revisionCodec('conflict'),
    put: revisionCodec('put'),
    renewed: revisionCodec('renewed'),
    transacted: revisionCodec('transacted'),
    deleted: {
      encode: (writer, outcome) => {
        writer.varuint(outcome.revision);
        writeFlag(writer, outcome.existed);
      },
      decode: (reader) => ({ type: 'deleted', revision: reader.varuint(), existed: readFlag(reader) }),
    },
    sessionOpened: {
      encode: (writer, outcome) => {
        writer.varuint(outcome.session);
      },
      decode: (reader) => ({ type: 'sessionOpened', session: reader.varuint() }),
    },
    refused: {
      encode: (writer, outcome) => refusalReasonCodec.encode(writer, outcome.reason),
      decode: (reader) => ({ type: 'refused', reason: refusalReasonCodec.decode(reader) }),
    },
    unmet: {
      encode: (writer, outcome) => {
        writer.varuint(outcome.condition).varuint(outcome.revision);
      },
      decode: (reader) => ({ type: 'unmet', condition: reader.varuint(), revision: reader.varuint() }),
    },
  },
);

const optionalRecordCodec = optionalCodec<{ readonly value: Uint8Array; readonly revision: number }>({
  encode: (writer, record) => {
    writer.bytes(record.value).varuint(record.revision);
  },
  decode: (reader) => ({ value: reader.bytes(), revision: reader.varuint() }),
});

const pairCodec: Codec<WirePair> = {
  encode: (writer, pair) => {
    writer.bytes(pair.key).bytes(pair.value).varuint(pair.revision);
  },
  decode: (reader) => ({ key: reader.bytes(keyBytesMax), value: reader.bytes(), revision: reader.varuint() }),
};
const pairsCodec = listCodec(pairCodec, pairsPerAnswerMax);
const changesCodec: Codec<readonly WireChange[]> = listCodec(
  {
    encode: (writer, change) => {
      writer.bytes(change.key).varuint(change.revision);
      optionalBytesCodec.encode(writer, change.value);
    },
    decode: (reader) => {
      const key = reader.bytes(keyBytesMax);
      const revision = reader.varuint();
      return { key, value: optionalBytesCodec.decode(reader), revision };
    },
  },
  pairsPerAnswerMax,
);
const backupPairsCodec = listCodec(pairCodec, pairsPerBackupAnswerMax);

const addressesCodec: Codec<readonly string[]> = listCodec(addressCodec, membersMax);
const optionalMembersCodec: Codec<readonly string[] | undefined> = optionalCodec(addressesCodec);

const newcomersCodec: Codec<readonly NewcomerFilling[]> = listCodec(
  {
    encode: (writer: ByteWriter, { id, address, isLinked, isFilled }: NewcomerFilling) => {
      writer.varuint(id);
      optionalAddressCodec.encode(writer, address);
      writeFlag(writer, isLinked);
      writeFlag(writer, isFilled);
    },
    decode: (reader: ByteReader) => {
      const id = reader.varuint();
      const address = optionalAddressCodec.decode(reader);
      return { id, ...(address !== undefined && { address }), isLinked: readFlag(reader), isFilled: readFlag(reader) };
    },
  },
  membersMax,
);

const bodyCodec: Codec<ResponseBody> = unionCodec<ResponseBody>(
  {
    outcome: 0,
    record: 1,
    pairs: 2,
    status: 3,
    reconfigured: 4,
    failed: 5,
    backupOpened: 6,
    backupPairs: 7,
    backupClosed: 8,
    filling: 9,
    changes: 10,
    snapshot: 11,
    members: 12,
  },
  {
    outcome: {
      encode: (writer, body) => outcomeCodec.encode(writer, body.outcome),
      decode: (reader) => ({ type: 'outcome', outcome: outcomeCodec.decode(reader) }),
    },
    record: {
      encode: (writer, body) => optionalRecordCodec.encode(writer, body.record),
      decode: (reader) => ({ type: 'record', record: optionalRecordCodec.decode(reader) }),
    },
    pairs: {
      encode: (writer, body) => {
        pairsCodec.encode(writer, body.pairs);
        writeFlag(writer, body.more);
      },
      decode: (reader) => ({ type: 'pairs', pairs: pairsCodec.decode(reader), more: readFlag(reader) }),
    },
    changes: {
      encode: (writer, body) => {
        changesCodec.encode(writer, body.changes);
        writeFlag(writer, body.more);
        writer.varuint(body.revision);
      },
      decode: (reader) => ({
        type: 'changes',
        changes: changesCodec.decode(reader),
        more: readFlag(reader),
        revision: reader.varuint(),
      }),
    },
    snapshot: {
      encode: (writer, body) => {
        pairsCodec.encode(writer, body.pairs);
        writeFlag(writer, body.more);
        writer.varuint(body.revision);
      },
      decode: (reader) => ({
        type: 'snapshot',
        pairs: pairsCodec.decode(reader),
        more: readFlag(reader),
        revision: reader.varuint(),
      }),
    },
    status: {
      encode: (writer, body) => encodeNodeStatus(writer, body.status),
      decode: (reader) => ({ type: 'status', status: decodeNodeStatus(reader) }),
    },
    reconfigured: {
      encode: (writer, body) => {
        writer.varuint(body.configurationId);
      },
      decode: (reader) => ({ type: 'reconfigured', configurationId: reader.varuint() }),
    },
    filling: {
      encode: (writer, body) => newcomersCodec.encode(writer, body.newcomers),
      decode: (reader) => ({ type: 'filling', newcomers: newcomersCodec.decode(reader) }),
    },
    backupOpened: {
      encode: (writer, body) => {
        writer.text(body.backup).varuint(body.index).varuint(body.nodeId);
        encodeClusterId(writer, body.clusterId);
        writer.text(body.clusterName);
      },
      decode: (reader) => ({
        type: 'backupOpened',
        backup: reader.text(backupNameBytesMax),
        index: reader.varuint(),
        nodeId: reader.varuint(),
        clusterId: decodeBoundClusterId(reader),
        clusterName: reader.text(clusterNameBytesMax),
      }),
    },
    backupPairs: {
      encode: (writer, body) => {
        backupPairsCodec.encode(writer, body.pairs);
        optionalBytesCodec.encode(writer, body.last);
        writeFlag(writer, body.done);
      },
      decode: (reader) => ({
        type: 'backupPairs',
        pairs: backupPairsCodec.decode(reader),
        last: optionalBytesCodec.decode(reader),
        done: readFlag(reader),
      }),
    },
    backupClosed: { encode: () => {}, decode: () => ({ type: 'backupClosed' }) },
    members: {
      encode: (writer, body) => {
        addressesCodec.encode(writer, body.addresses);
        writeFlag(writer, body.isMember);
      },
      decode: (reader) => ({ type: 'members', addresses: addressesCodec.decode(reader), isMember: readFlag(reader) }),
    },
    failed: {
      encode: (writer, body) => {
        failureCodeCodec.encode(writer, body.code);
        failureOutcomeCodec.encode(writer, body.outcome);
        writer.text(body.message);
        optionalMembersCodec.encode(writer, body.members);
      },
      decode: (reader) => {
        const code = failureCodeCodec.decode(reader);
        const outcome = failureOutcomeCodec.decode(reader);
        const message = reader.text(failureMessageBytesMax);
        const members = optionalMembersCodec.decode(reader);
        return { type: 'failed', code, outcome, message, ...(members && { members }) };
      },
    },
  },
);

/** One response: id of the request · type (1) · fields. */
export const responseCodec: Codec<ClientResponse> = {
  encode: (writer, response) => {
    writer.varuint(response.id);
    bodyCodec.encode(writer, response);
  },
  decode: (reader) => {
    const id = reader.varuint();
    return responseOf(id, bodyCodec.decode(reader));
  },
};
