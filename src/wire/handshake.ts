import { DecodeError } from '../base/bytes.ts';
import { crc32 } from '../base/crc32.ts';
import type { Opening } from '../cluster/configuration.ts';
import type { Origin } from '../cluster/origin.ts';
import type { Ballot } from '../omnipaxos/ballot.ts';
import { clusterIdPattern } from './cluster-id-codec.ts';
import { timeBytesMax } from './configuration-codec.ts';
import { JsonFields } from './json-fields.ts';
import { addressBytesMax, ballotNumberMax, membersMax, protocolVersion, storageIdBytesMax } from './limits.ts';
import type { OpenedWith, PeerHello } from './peer-message.ts';

/*
 * What opens a connection, as one text frame of JSON: between nodes both ends send a PeerHello, to a client the node sends
 * a ClientHello and the client need not answer. Fields that are not known are refused: a new field takes a new protocol version.
 */

/** First thing that a node says to a client. */
export interface ClientHello {
  readonly protocolVersion: number;
  /** Tells a kv node from anything else that answers on a port. */
  readonly kv: true;
  readonly nodeId: number;
  /** Of the cluster that it belongs to, or is to form. */
  readonly clusterName: string;
  /** Undefined while the node belongs to no cluster yet. */
  readonly clusterId: string | undefined;
}

/** Path of the links between nodes. */
export const peerPath = '/v1/peer';
/** Path of the connections beside them that carry heartbeats alone. A path of its own, so that a release that knows none refuses them by that. */
export const heartbeatPath = '/v1/heartbeat';
const meantParameter = 'node';

/** The path of a connection to node `nodeId`: says who is meant, since another node may have taken over the address. */
export function pathTo(nodeId: number, path: typeof peerPath | typeof heartbeatPath): string {
  return `${path}?${meantParameter}=${nodeId}`;
}

/** True for a connection that was opened at `path`, whoever it means. */
export function isHeartbeatPath(path: string): boolean {
  return path.split('?')[0] === heartbeatPath;
}

/** Who is meant by a connection that was opened at `path`; undefined if that does not say. */
export function meantNodeId(path: string): number | undefined {
  const [, query = ''] = path.split('?');
  const meant = new URLSearchParams(query).get(meantParameter);
  return meant === null ? undefined : Number(meant);
}

/** Path of the connections of clients. */
export const clientPath = '/v1/client';
/** Most characters of a hello. */
const helloTextMax = 16_384;
/** Most characters of a cluster's name. */
const clusterNameTextMax = 200;
/** Hexadecimal digits. */
const noncePattern = /^[0-9a-f]{1,16}$/;

/** The last field of a peer's hello: CRC-32 of all in front of it, since nodes write down, and act on, what others say first (see frame.ts). */
const checksumField = ',"checksum":';

export function encodePeerHello(hello: PeerHello): string {
  const covered = JSON.stringify(hello).slice(0, -1);
  return `${covered}${checksumField}${checksumOf(covered)}}`;
}

function checksumOf(text: string): number {
  return crc32(new TextEncoder().encode(text));
}

function checkHello(text: string, checksum: number): void {
  const covered = text.slice(0, text.lastIndexOf(checksumField));
  if (checksumOf(covered) !== checksum)
    throw new DecodeError('a hello was damaged on its way: its checksum does not fit');
}

/** Throws DecodeError, for another protocol version with a message that says so. */
export function decodePeerHello(text: string): PeerHello {
  const fields = JsonFields.parse('the hello of a node', text, helloTextMax);
  const version = readVersion(fields);
  checkHello(text, fields.integer('checksum'));
  const origin = readOrigin(fields.optionalObject('origin'));
  const hello = {
    protocolVersion: version,
    clusterName: fields.text('clusterName', clusterNameTextMax),
    clusterId: fields.optionalText('clusterId', 16, clusterIdPattern),
    nodeId: fields.integer('nodeId', 1),
    address: fields.text('address', addressBytesMax),
    storageId: fields.text('storageId', storageIdBytesMax),
    initialMembers: fields.nodeIds('initialMembers', membersMax),
    ...(origin && { origin }),
    opened: readOpened(fields.object('opened')),
    openings: fields.objects('openings', membersMax).map(readOpening),
  };
  fields.end();
  return hello;
}

function readOpened(fields: JsonFields): OpenedWith {
  const opened = {
    incarnation: fields.integer('incarnation'),
    nonce: fields.text('nonce', 16, noncePattern),
    configurationId: fields.integer('configurationId'),
    promise: readBallot(fields.object('promise')),
    acceptedRound: readBallot(fields.object('acceptedRound')),
    endIndex: fields.integer('endIndex'),
    isSealed: fields.flag('isSealed'),
  };
  fields.end();
  return opened;
}

function readBallot(fields: JsonFields): Ballot {
  const ballot = {
    n: fields.integer('n', 0, ballotNumberMax),
    priority: fields.integer('priority'),
    pid: fields.integer('pid'),
  };
  fields.end();
  return ballot;
}

function readOpening(fields: JsonFields): Opening {
  const opening = {
    storageId: fields.text('storageId', storageIdBytesMax),
    incarnation: fields.integer('incarnation'),
    nonce: fields.text('nonce', 16, noncePattern),
  };
  fields.end();
  return opening;
}

export function encodeClientHello(hello: ClientHello): string {
  return JSON.stringify(hello);
}

/** Throws DecodeError, for another protocol version with a message that says so. */
export function decodeClientHello(text: string): ClientHello {
  const fields = JsonFields.parse('the hello of a kv node', text, helloTextMax);
  const kv = fields.true('kv');
  const hello = {
    protocolVersion: readVersion(fields),
    kv,
    nodeId: fields.integer('nodeId', 1),
    clusterName: fields.text('clusterName', clusterNameTextMax),
    clusterId: fields.optionalText('clusterId', 16, clusterIdPattern),
  };
  fields.end();
  return hello;
}

function readOrigin(fields: JsonFields | undefined): Origin | undefined {
  if (fields === undefined) return undefined;
  const origin = {
    kind: fields.word('kind', ['restored', 'recovered']),
    clusterId: fields.text('clusterId', 16, clusterIdPattern),
    index: fields.integer('index', 1),
    fingerprint: fields.text('fingerprint', storageIdBytesMax),
    madeAt: fields.text('madeAt', timeBytesMax),
  };
  fields.end();
  return origin;
}

function readVersion(fields: JsonFields): number {
  const version = fields.integer('protocolVersion');
  if (version === protocolVersion) return version;
  throw new DecodeError(
    `the other side speaks protocol version ${version}, this one ${protocolVersion}: run the same release of kv on both`,
  );
}
