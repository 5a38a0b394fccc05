import fc from 'fast-check';
import { toByteString } from '../../src/base/bytes.ts';
import type { Configuration } from '../../src/cluster/configuration.ts';
import type { Origin } from '../../src/cluster/origin.ts';
import type { ClientOutcome } from '../../src/kv/outcome.ts';
import type { SnapshotCursor } from '../../src/kv/state-store.ts';
import type { Ballot } from '../../src/omnipaxos/ballot.ts';
import type { Entry } from '../../src/omnipaxos/entry.ts';
import type {
  ClientRequest,
  ClientResponse,
  NodeStatus,
  RequestBody,
  ResponseBody,
} from '../../src/wire/client-message.ts';
import { protocolVersion } from '../../src/wire/limits.ts';
import type { PeerHello, PeerMessage, PeerPayload } from '../../src/wire/peer-message.ts';

/*
 * Values of everything that travels. The tables are typed by the unions, so a new message does not compile until it is here.
 */

const integer = fc.oneof(fc.nat(300), fc.maxSafeNat());
const id = fc.integer({ min: 1, max: 1_000_000 });
const bytes = fc.uint8Array({ maxLength: 200 });
const key = fc.uint8Array({ maxLength: 40 }).map(toByteString);
const address = fc
  .tuple(fc.constantFrom('127.0.0.1', '[::1]', 'höst.example'), fc.nat(65535))
  .map((pair) => pair.join(':'));
export const clusterId = fc
  .array(fc.constantFrom(...'0123456789abcdef'), { minLength: 16, maxLength: 16 })
  .map((digits) => digits.join(''))
  .filter((text) => text !== '0'.repeat(16));

const ballot: fc.Arbitrary<Ballot> = fc.record({
  n: fc.oneof(fc.nat(300), fc.nat(2 ** 31 - 1), fc.constant(2 ** 52)),
  priority: integer,
  pid: integer,
});

const entry: fc.Arbitrary<Entry<Uint8Array>> = fc.oneof(
  fc.record({ type: fc.constant('Normal' as const), entry: bytes }),
  fc.record({
    type: fc.constant('StopSign' as const),
    stopSign: fc.record(
      { configId: integer, nodes: fc.array(id, { maxLength: 31 }), metadata: bytes },
      { requiredKeys: ['configId', 'nodes'] },
    ),
  }),
);
const entries = fc.array(entry, { maxLength: 6 });

const ascendingIds = fc.uniqueArray(id, { minLength: 1, maxLength: 31 }).map((ids) => ids.sort((a, b) => a - b));
const origin: fc.Arbitrary<Origin> = fc.record({
  kind: fc.constantFrom('restored', 'recovered'),
  clusterId,
  index: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
  fingerprint: clusterId,
  madeAt: fc.constant('2026-01-02T03:04:05.678Z'),
});

const configuration: fc.Arbitrary<Configuration> = fc.uniqueArray(id, { minLength: 1, maxLength: 31 }).chain((ids) =>
  fc.record(
    {
      configurationId: integer,
      startIndex: integer,
      members: fc.tuple(
        ...ids
          .sort((a, b) => a - b)
          .map((member) => fc.record({ id: fc.constant(member), address, storageId: clusterId })),
      ),
      quorum: fc.record({ prepare: fc.constant(ids.length), accept: fc.integer({ min: 1, max: ids.length }) }),
      past: fc.array(fc.record({ configurationId: integer, startIndex: integer, memberIds: ascendingIds }), {
        maxLength: 15,
      }),
      origin,
    },
    { requiredKeys: ['configurationId', 'startIndex', 'members'] },
  ),
);

const cursor: fc.Arbitrary<SnapshotCursor> = fc.oneof(
  fc.record({ type: fc.constant('pair' as const), key }),
  fc.record({ type: fc.constant('session' as const), id: integer }),
);
const optionalCursor = fc.option(cursor, { nil: undefined });
const checksum = fc.nat(0xffff_ffff);

type Fields<Union extends { readonly type: string }> = {
  readonly [Type in Union['type']]: fc.Arbitrary<Omit<Extract<Union, { readonly type: Type }>, 'type'>>;
};

function union<Union extends { readonly type: string }>(fields: Fields<Union>): fc.Arbitrary<Union> {
  const members = Object.entries(fields as Record<string, fc.Arbitrary<object>>);
  return fc.oneof(...members.map(([type, rest]) => rest.map((values) => ({ type, ...values }) as unknown as Union)));
}

export const payloadFields: Fields<PeerPayload> = {
  Prepare: fc.record({ ballot, decidedIndex: integer, acceptedRound: ballot, acceptedIndex: integer }),
  Promise: fc.record({
    ballot,
    decidedIndex: integer,
    acceptedRound: ballot,
    acceptedIndex: integer,
    suffixFrom: integer,
    suffix: fc.option(entries, { nil: undefined }),
  }),
  AcceptSync: fc.record({ ballot, session: integer, decidedIndex: integer, syncIndex: integer, suffix: entries }),
  AcceptDecide: fc.record({
    ballot,
    session: integer,
    counter: integer,
    decidedIndex: integer,
    startIndex: integer,
    entries,
  }),
  Decide: fc.record({ ballot, session: integer, counter: integer, decidedIndex: integer }),
  Probe: fc.record({ ballot, session: integer, counter: integer }),
  Behind: fc.record({ ballot, decidedIndex: integer }),
  Accepted: fc.record({ ballot, acceptedIndex: integer, decidedIndex: integer }),
  NotAccepted: fc.record({ ballot }),
  PrepareRequest: fc.record({ ballot }),
  ForwardProposals: fc.record({ entries }),
  ReturnProposals: fc.record({ entries }),
  ReadIndexRequest: fc.record({ ballot, readId: integer }),
  ConfirmRequest: fc.record({ ballot, round: integer }),
  Confirm: fc.record({ ballot, round: integer }),
  ReadIndexReply: fc.record({ readId: integer, readIndex: integer }),
  HeartbeatRequest: fc.record({ round: integer, stands: ballot }, { requiredKeys: ['round'] }),
  HeartbeatReply: fc.record(
    { round: integer, ballot, leader: ballot, happy: fc.boolean(), yieldsTo: ballot },
    { requiredKeys: ['round', 'ballot', 'leader', 'happy'] },
  ),
  TakeOver: fc.constant({}),
  Announce: fc.record({ clusterId, configuration }),
  Fill: fc.record({ clusterId, configuration, index: integer }),
  LogRequest: fc.record({ from: integer, to: integer }),
  LogSegment: fc.record({ from: integer, entries, checksum, decidedIndex: integer, trimmedIndex: integer }),
  DonorQuery: fc.constant({}),
  DonorStanding: fc.record({
    decidedIndex: integer,
    appliedIndex: integer,
    trimmedIndex: integer,
    isLeader: fc.boolean(),
  }),
  SnapshotRequest: fc.record({ index: integer }),
  SnapshotOffer: fc.record({
    index: integer,
    isHeld: fc.boolean(),
    appliedIndex: integer,
    rows: integer,
    bytes: integer,
  }),
  CutsRequest: fc.record({ index: integer, after: optionalCursor, rowsPerCut: integer }),
  Cuts: fc.record({
    index: integer,
    after: optionalCursor,
    cursors: fc.array(cursor, { maxLength: 6 }),
    done: fc.boolean(),
  }),
  StateRequest: fc.record({ index: integer, after: optionalCursor, upTo: optionalCursor }),
  StateChunk: fc.record({
    index: integer,
    after: optionalCursor,
    upTo: optionalCursor,
    chunk: fc.option(fc.record({ rows: fc.record({ bytes, checksum }), last: optionalCursor, done: fc.boolean() }), {
      nil: undefined,
    }),
  }),
};

export const peerMessage: fc.Arbitrary<PeerMessage> = fc.record({
  configurationId: integer,
  payload: union<PeerPayload>(payloadFields),
});

export const peerHello: fc.Arbitrary<PeerHello> = fc.record(
  {
    protocolVersion: fc.constant(protocolVersion),
    clusterName: fc.string({ maxLength: 20 }),
    clusterId: fc.option(clusterId, { nil: undefined }),
    nodeId: id,
    address,
    storageId: clusterId,
    initialMembers: fc.uniqueArray(id, { maxLength: 31 }),
    origin,
    opened: fc.record({
      incarnation: integer,
      nonce: clusterId,
      configurationId: integer,
      promise: ballot,
      acceptedRound: ballot,
      endIndex: integer,
      isSealed: fc.boolean(),
    }),
    openings: fc.array(fc.record({ storageId: clusterId, incarnation: integer, nonce: clusterId }), { maxLength: 31 }),
  },
  {
    requiredKeys: [
      'protocolVersion',
      'clusterName',
      'clusterId',
      'nodeId',
      'address',
      'storageId',
      'initialMembers',
      'opened',
      'openings',
    ],
  },
);

const consistency = fc.constantFrom('linearizable' as const, 'local' as const);

export const request: fc.Arbitrary<ClientRequest> = fc
  .tuple(
    fc.record({ id: integer, timeoutMs: fc.nat(3_600_000) }),
    union<RequestBody>({
      write: fc.record({ command: bytes }),
      get: fc.record({ consistency, key: bytes }),
      list: fc.record({ consistency, prefix: bytes, after: fc.option(bytes, { nil: undefined }), limit: integer }),
      status: fc.record({}),
      reconfigure: fc.record(
        {
          nodes: fc.array(
            fc.record({ id, address, storageId: clusterId, isRebuilt: fc.constant(true) }, { requiredKeys: ['id'] }),
            {
              maxLength: 31,
            },
          ),
          ifConfigurationId: integer,
        },
        { requiredKeys: ['nodes'] },
      ),
      fill: fc.record(
        {
          nodes: fc.array(fc.record({ id, address, storageId: clusterId }, { requiredKeys: ['id'] }), {
            maxLength: 31,
          }),
          ifConfigurationId: integer,
        },
        { requiredKeys: ['nodes'] },
      ),
      watch: fc.record({
        key: bytes,
        isPrefix: fc.boolean(),
        since: fc.option(integer, { nil: undefined }),
        after: fc.option(bytes, { nil: undefined }),
        waitMs: integer,
      }),
      backupOpen: fc.record({}),
      backupRead: fc.record({ backup: clusterId, after: fc.option(bytes, { nil: undefined }) }),
      backupClose: fc.record({ backup: clusterId }),
    }),
  )
  .map(([head, body]) => ({ ...body, ...head }));

const outcome = union<ClientOutcome>({
  put: fc.record({ revision: integer }),
  deleted: fc.record({ revision: integer, existed: fc.boolean() }),
  sessionOpened: fc.record({ session: integer }),
  refused: fc.record({
    reason: fc.constantFrom(
      'sessionExpired',
      'numberForgotten',
      'windowExceeded',
      'malformed',
      'noSpace',
      'tooManyExpiring',
    ),
  }),
  renewed: fc.record({ revision: integer }),
  transacted: fc.record({ revision: integer }),
  unmet: fc.record({ condition: integer, revision: integer }),
  conflict: fc.record({ revision: integer }),
});

const duration = fc.option(fc.double({ min: 0, max: 1e9, noNaN: true }).map(Math.abs), { nil: undefined });

const status: fc.Arbitrary<NodeStatus> = fc.record(
  {
    clusterId: fc.option(clusterId, { nil: undefined }),
    nodeId: id,
    address,
    state: fc.constantFrom('forming', 'member', 'joining', 'standby'),
    configurationId: integer,
    leader: fc.option(id, { nil: undefined }),
    decidedIndex: integer,
    appliedIndex: integer,
    members: fc.array(fc.record({ id, address, storageId: clusterId }, { requiredKeys: ['id', 'address'] }), {
      maxLength: 5,
    }),
    storageId: clusterId,
    trimmedIndex: integer,
    connected: ascendingIds,
    history: fc.array(fc.record({ configurationId: integer, startIndex: integer, members: ascendingIds }), {
      maxLength: 16,
    }),
    catchUp: fc.record(
      {
        stage: fc.constantFrom('plan', 'state', 'install', 'log'),
        bytesReceived: integer,
        bytesTotal: integer,
        fromIndex: integer,
        targetIndex: integer,
        donors: fc.array(fc.record({ id, bytes: integer }), { maxLength: 5 }),
        lackOfRoom: fc.record({ neededBytes: integer, roomBytes: integer }),
      },
      { requiredKeys: ['stage', 'bytesReceived', 'fromIndex', 'targetIndex', 'donors'] },
    ),
    disk: fc.record({ flushP50Ms: duration, flushP99Ms: duration, flushes: integer }),
    logHeld: fc.record({ fromIndex: integer, readers: ascendingIds }),
    space: fc.record({ level: fc.constantFrom('ok', 'low', 'full'), usedBytes: integer, capacityBytes: integer }),
    fullNodes: ascendingIds,
  },
  {
    requiredKeys: [
      ...(['clusterId', 'nodeId', 'address', 'state', 'configurationId', 'leader'] as const),
      ...(['decidedIndex', 'appliedIndex', 'members', 'storageId', 'trimmedIndex'] as const),
      ...(['connected', 'disk', 'fullNodes'] as const),
    ],
  },
);

export const response: fc.Arbitrary<ClientResponse> = fc
  .tuple(
    integer,
    union<ResponseBody>({
      outcome: fc.record({ outcome }),
      record: fc.record({ record: fc.option(fc.record({ value: bytes, revision: integer }), { nil: undefined }) }),
      pairs: fc.record({
        pairs: fc.array(fc.record({ key: bytes, value: bytes, revision: integer }), { maxLength: 6 }),
        more: fc.boolean(),
      }),
      changes: fc.record({
        changes: fc.array(fc.record({ key: bytes, value: fc.option(bytes, { nil: undefined }), revision: integer }), {
          maxLength: 6,
        }),
        more: fc.boolean(),
        revision: integer,
      }),
      snapshot: fc.record({
        pairs: fc.array(fc.record({ key: bytes, value: bytes, revision: integer }), { maxLength: 6 }),
        more: fc.boolean(),
        revision: integer,
      }),
      status: fc.record({ status }),
      reconfigured: fc.record({ configurationId: integer }),
      members: fc.record({ addresses: fc.array(address, { maxLength: 5 }), isMember: fc.boolean() }),
      filling: fc.record({
        newcomers: fc.array(
          fc.record(
            { id, address, isLinked: fc.boolean(), isFilled: fc.boolean() },
            { requiredKeys: ['id', 'isLinked', 'isFilled'] },
          ),
          { maxLength: 31 },
        ),
      }),
      backupOpened: fc.record({
        backup: clusterId,
        index: integer,
        nodeId: id,
        clusterId,
        clusterName: fc.constantFrom('default', 'Fluß'),
      }),
      backupPairs: fc.record({
        pairs: fc.array(fc.record({ key: bytes, value: bytes, revision: integer }), { maxLength: 6 }),
        last: fc.option(bytes, { nil: undefined }),
        done: fc.boolean(),
      }),
      backupClosed: fc.record({}),
      failed: fc.record(
        {
          code: fc.constantFrom(
            ...(['noMajority', 'timeout', 'notMember', 'busy', 'invalid', 'tooLarge'] as const),
            ...(['sessionExpired', 'reconfiguring', 'unreachable', 'shuttingDown', 'noSpace'] as const),
          ),
          outcome: fc.constantFrom('notApplied', 'unknown'),
          message: fc.string({ unit: 'grapheme', maxLength: 40 }).filter((text) => !text.startsWith('\uFEFF')),
          members: fc.array(address, { maxLength: 5 }),
        },
        { requiredKeys: ['code', 'outcome', 'message'] },
      ),
    }),
  )
  .map(([number, body]) => ({ ...body, id: number }));
