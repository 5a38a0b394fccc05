import { takeExact } from '../base/buffer-pool.ts';
import { ByteReader, ByteWriter, DecodeError, putU32, u32At } from '../base/bytes.ts';
import { crc32, joinCrc32, rememberCrc32, rememberedBytesMin } from '../base/crc32.ts';
import { type CommandProblem, keyProblem, ttlProblem, valueProblem } from './command-limits.ts';
import { decodeTransaction, encodeTransaction, type Transaction, transactionProblem } from './transaction.ts';

/*
 * A command as it travels: encoded once by the client, carried as these bytes through gateway, log and network,
 * decoded only where it is applied. The checksum in front goes with it all the way.
 *
 *   crc32 (4) · kind (1) · session · number · acknowledgedBelow (varuints) · ifRevision (varuint, where the kind has one)
 *     · key (length first) · value (the rest)
 *
 * Of a put that expires (6): ttlMs, and ifRevision + 1 or 0 for none, in the place of ifRevision. Of `expire`: renewedAt behind ifRevision.
 * Of a transaction: no key, and what `encodeTransaction` gives as the value.
 */

const kindCodes = { openSession: 0, put: 1, delete: 2, reportSpace: 3, renew: 7, expire: 8, transact: 9 } as const;
/** The same with a condition. */
const conditionalCodes = { put: 4, delete: 5 } as const;
/** A put that expires, with a condition or without. */
const expiringPutCode = 6;
export type CommandKind = keyof typeof kindCodes;

/** What a node says of its space. */
export interface SpaceReport {
  readonly nodeId: number;
  /** The configuration that the node was a member of when it said so. */
  readonly configurationId: number;
  readonly isFull: boolean;
  readonly usedBytes: number;
  readonly capacityBytes: number;
}

/** Who gave a command, so that a retry is answered and not applied again (PROTOCOL mistake 25). */
export interface CommandOrigin {
  /** Id that `openSession` gave; 0 for `openSession` itself. */
  readonly session: number;
  /** Unique within the session, counting up; for `openSession` a random 48-bit number. */
  readonly number: number;
  /** The client has the answers of all numbers below: they may be forgotten. */
  readonly acknowledgedBelow: number;
}

/** A change of a key. */
interface Change {
  readonly key: Uint8Array;
  /** Only if this is the key's revision when the command is applied; 0: only if there is no such key. */
  readonly ifRevision?: number | undefined;
}

export type Command = CommandOrigin &
  (
    | { readonly kind: 'openSession' }
    | ({
        readonly kind: 'put';
        readonly value: Uint8Array;
        /** The key goes once it was not renewed for so long; undefined: it stays. */
        readonly ttlMs?: number | undefined;
      } & Change)
    | ({ readonly kind: 'delete' } & Change)
    /** A key that expires does so later: it stays for its whole time again. */
    | { readonly kind: 'renew'; readonly key: Uint8Array; readonly ifRevision: number }
    /** Changes several keys, or none of them. */
    | { readonly kind: 'transact'; readonly transaction: Transaction }
    /** Of a leader: this put of the key was not renewed in time since. In no session, and harmless if it is applied again. */
    | { readonly kind: 'expire'; readonly key: Uint8Array; readonly ifRevision: number; readonly renewedAt: number }
    /** Of a node, not of a client: in no session, and harmless if it is applied again. */
    | { readonly kind: 'reportSpace'; readonly report: SpaceReport }
  );

/** What clients give. */
export type ClientCommand = Exclude<Command, { readonly kind: 'reportSpace' | 'expire' }>;

const empty = new Uint8Array(0);
/** What is in front of a key takes less, and writing its numbers asks for no more. */
const headBytesMax = 48;

/** The bytes of a command. Limits are not checked here: see {@link commandProblem}. */
export function encodeCommand(command: Command): Uint8Array {
  const key = 'key' in command ? command.key : empty;
  const value = payloadOf(command);
  const writer = new ByteWriter(takeExact(headBytesMax + key.length + value.length))
    .u32(0)
    .u8(codeOf(command))
    .varuint(command.session)
    .varuint(command.number)
    .varuint(command.acknowledgedBelow);
  encodeCondition(writer, command);
  return sealCommand(writer.bytes(key).raw(value));
}

function codeOf(command: Command): number {
  if (command.kind === 'put' && command.ttlMs !== undefined) return expiringPutCode;
  const isConditional = (command.kind === 'put' || command.kind === 'delete') && command.ifRevision !== undefined;
  return isConditional ? conditionalCodes[command.kind] : kindCodes[command.kind];
}

/** What is between the origin and the key. */
function encodeCondition(writer: ByteWriter, command: Command): void {
  if (command.kind === 'openSession' || command.kind === 'reportSpace' || command.kind === 'transact') return;
  const { ifRevision } = command;
  if (command.kind === 'put' && command.ttlMs !== undefined) {
    writer.varuint(command.ttlMs).varuint(ifRevision === undefined ? 0 : ifRevision + 1);
  } else if (ifRevision !== undefined) writer.varuint(ifRevision);
  if (command.kind === 'expire') writer.varuint(command.renewedAt);
}

function payloadOf(command: Command): Uint8Array {
  switch (command.kind) {
    case 'put':
      return command.value;
    case 'reportSpace':
      return encodeReport(command.report);
    case 'transact':
      return encodeTransaction(command.transaction);
    default:
      return empty;
  }
}

/** A node's report as a command. */
export function reportSpace(report: SpaceReport): Uint8Array {
  return encodeCommand({ kind: 'reportSpace', session: 0, number: 0, acknowledgedBelow: 0, report });
}

/** A leader's word that a key was not renewed in time, as a command. */
export function expireKey(key: Uint8Array, ifRevision: number, renewedAt: number): Uint8Array {
  return encodeCommand({ kind: 'expire', session: 0, number: 0, acknowledgedBelow: 0, key, ifRevision, renewedAt });
}

function encodeReport(report: SpaceReport): Uint8Array {
  const { nodeId, configurationId, isFull, usedBytes, capacityBytes } = report;
  const writer = new ByteWriter(40).varuint(nodeId).varuint(configurationId);
  return writer
    .u8(isFull ? 1 : 0)
    .varuint(usedBytes)
    .varuint(capacityBytes)
    .finish();
}

function decodeReport(bytes: Uint8Array): SpaceReport {
  const reader = new ByteReader(bytes);
  const report = {
    nodeId: reader.varuint(),
    configurationId: reader.varuint(),
    isFull: reader.u8() === 1,
    usedBytes: reader.varuint(),
    capacityBytes: reader.varuint(),
  };
  reader.end();
  return report;
}

function sealCommand(writer: ByteWriter): Uint8Array {
  const bytes = writer.finish();
  const checksum = crc32(bytes, 0, 4);
  putU32(bytes, 0, checksum);
  rememberWhole(bytes, checksum);
  return bytes;
}

/** Only the origin, without a copy or a checksum: what a gateway needs to match the answer. Throws {@link DecodeError}. */
export function decodeOrigin(bytes: Uint8Array): CommandOrigin & { readonly kind: CommandKind } {
  const reader = new ByteReader(bytes, 4);
  const kind = kindOf(reader.u8());
  return { kind, session: reader.varuint(), number: reader.varuint(), acknowledgedBelow: reader.varuint() };
}

/** The same of what may be no command at all: undefined then. */
export function originOf(bytes: Uint8Array): CommandOrigin | undefined {
  try {
    return decodeOrigin(bytes);
  } catch (error) {
    if (error instanceof DecodeError) return undefined;
    throw error;
  }
}

/** The whole command; key and value are views into `bytes`. Throws {@link DecodeError}; the checksum is not looked at. */
export function decodeCommand(bytes: Uint8Array): Command {
  const reader = new ByteReader(bytes, 4);
  const code = reader.u8();
  const kind = kindOf(code);
  const session = reader.varuint();
  const number = reader.varuint();
  const acknowledgedBelow = reader.varuint();
  if (code >= expiringPutCode) return decodeRare(reader, kind, { session, number, acknowledgedBelow });
  const isConditional = code === conditionalCodes.put || code === conditionalCodes.delete;
  const ifRevision = isConditional ? reader.varuint() : undefined;
  const key = reader.bytes();
  const value = reader.rest();
  // Each by its name: to spread what they have in common takes several times as long.
  if (kind === 'put') return { kind, session, number, acknowledgedBelow, key, value, ifRevision, ttlMs: undefined };
  if (kind === 'delete') return { kind, session, number, acknowledgedBelow, key, ifRevision };
  if (kind === 'reportSpace') return { kind, session, number, acknowledgedBelow, report: decodeReport(value) };
  return { kind: 'openSession', session, number, acknowledgedBelow };
}

/** Of those of which there are few: that have to do with keys that expire, or with several keys. */
function decodeRare(reader: ByteReader, kind: CommandKind, origin: CommandOrigin): Command {
  if (kind === 'transact') {
    if (reader.bytes().length > 0) throw new DecodeError('a transaction with a key of its own');
    return { kind, ...origin, transaction: decodeTransaction(reader.rest()) };
  }
  if (kind === 'put') {
    const ttlMs = reader.varuint();
    const condition = reader.varuint();
    const ifRevision = condition === 0 ? undefined : condition - 1;
    return { kind, ...origin, ttlMs, ifRevision, key: reader.bytes(), value: reader.rest() };
  }
  const ifRevision = reader.varuint();
  const renewedAt = kind === 'expire' ? reader.varuint() : 0;
  const key = reader.bytes();
  reader.end();
  return kind === 'expire'
    ? { kind, ...origin, key, ifRevision, renewedAt }
    : { kind: 'renew', ...origin, key, ifRevision };
}

/** True if the checksum in front of the command fits its bytes. */
export function isCommandIntact(bytes: Uint8Array): boolean {
  if (bytes.length <= 4) return false;
  const checksum = crc32(bytes, 0, 4);
  if (u32At(bytes, 0) !== checksum) return false;
  rememberWhole(bytes, checksum);
  return true;
}

/** Frames and the log need the checksum of the command with its own, `checksum`, in front. */
function rememberWhole(bytes: Uint8Array, checksum: number): void {
  if (bytes.length >= rememberedBytesMin)
    rememberCrc32(bytes, joinCrc32(crc32(bytes, 0, 0, 4), checksum, bytes.length - 4));
}

const renewsNothing: CommandProblem = {
  code: 'invalid',
  message: 'a key is renewed at a revision: give that of its put, not 0',
};

const sessionInSession: CommandProblem = {
  code: 'invalid',
  message: 'a session is opened by a command that belongs to none: its session must be 0',
};

/** Says what is wrong with what a command holds, or `undefined`. One that has a problem is refused when it is applied, too. */
export function commandProblem(command: Command): CommandProblem | undefined {
  if (command.kind === 'reportSpace') return undefined;
  if (command.kind === 'openSession') return command.session === 0 ? undefined : sessionInSession;
  if (command.kind === 'renew' && command.ifRevision === 0) return renewsNothing;
  if (command.kind === 'transact') return transactionProblem(command.transaction);
  if (command.kind !== 'put') return keyProblem(command.key);
  return (
    keyProblem(command.key) ??
    valueProblem(command.value) ??
    (command.ttlMs === undefined ? undefined : ttlProblem(command.ttlMs))
  );
}

function kindOf(code: number): CommandKind {
  switch (code) {
    case kindCodes.put:
    case conditionalCodes.put:
    case expiringPutCode:
      return 'put';
    case kindCodes.delete:
    case conditionalCodes.delete:
      return 'delete';
    case kindCodes.openSession:
      return 'openSession';
    case kindCodes.reportSpace:
      return 'reportSpace';
    case kindCodes.renew:
      return 'renew';
    case kindCodes.expire:
      return 'expire';
    case kindCodes.transact:
      return 'transact';
    default:
      throw new DecodeError(`unknown command kind ${code}`);
  }
}
