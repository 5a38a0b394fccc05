import { takeExact } from '../base/buffer-pool.ts';
import { ByteReader, ByteWriter, DecodeError, putU32, u32At } from '../base/bytes.ts';
import { crc32, joinCrc32, rememberCrc32, rememberedBytesMin } from '../base/crc32.ts';

/*
 * A command as it travels: encoded once by the client, carried as these bytes through gateway, log and network,
 * decoded only where it is applied. The checksum in front goes with it all the way.
 *
 *   crc32 (4) · kind (1) · session · number · acknowledgedBelow (varuints) · ifRevision (varuint, where the kind has one)
 *     · key (length first) · value (the rest)
 */

const kindCodes = { openSession: 0, put: 1, delete: 2, reportSpace: 3 } as const;
/** The same with a condition. */
const conditionalCodes = { put: 4, delete: 5 } as const;
export type CommandKind = keyof typeof kindCodes;

/** Most bytes of a key. */
export const keyBytesMax = 1024;
/** Most bytes of a value. */
export const valueBytesMax = 1024 * 1024;
/** Most bytes of a whole command: key, value, and what is in front of them. */
export const commandBytesMax = keyBytesMax + valueBytesMax + 64;

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
    | ({ readonly kind: 'put'; readonly value: Uint8Array } & Change)
    | ({ readonly kind: 'delete' } & Change)
    /** Of a node, not of a client: in no session, and harmless if it is applied again. */
    | { readonly kind: 'reportSpace'; readonly report: SpaceReport }
  );

/** What clients give. */
export type ClientCommand = Exclude<Command, { readonly kind: 'reportSpace' }>;

const empty = new Uint8Array(0);
/** What is in front of a key takes less, and writing its numbers asks for no more. */
const headBytesMax = 48;

/** The bytes of a command. Limits are not checked here: see {@link commandProblem}. */
export function encodeCommand(command: Command): Uint8Array {
  const isChange = command.kind === 'put' || command.kind === 'delete';
  const key = isChange ? command.key : empty;
  const ifRevision = isChange ? command.ifRevision : undefined;
  const value = payloadOf(command);
  const writer = new ByteWriter(takeExact(headBytesMax + key.length + value.length))
    .u32(0)
    .u8(isChange && ifRevision !== undefined ? conditionalCodes[command.kind] : kindCodes[command.kind])
    .varuint(command.session)
    .varuint(command.number)
    .varuint(command.acknowledgedBelow);
  if (ifRevision !== undefined) writer.varuint(ifRevision);
  return sealCommand(writer.bytes(key).raw(value));
}

function payloadOf(command: Command): Uint8Array {
  if (command.kind === 'put') return command.value;
  return command.kind === 'reportSpace' ? encodeReport(command.report) : empty;
}

/** A node's report as a command. */
export function reportSpace(report: SpaceReport): Uint8Array {
  return encodeCommand({ kind: 'reportSpace', session: 0, number: 0, acknowledgedBelow: 0, report });
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
  const isConditional = code === conditionalCodes.put || code === conditionalCodes.delete;
  const ifRevision = isConditional ? reader.varuint() : undefined;
  const key = reader.bytes();
  const value = reader.rest();
  // Each by its name: to spread what they have in common takes several times as long.
  if (kind === 'put') return { kind, session, number, acknowledgedBelow, key, value, ifRevision };
  if (kind === 'delete') return { kind, session, number, acknowledgedBelow, key, ifRevision };
  if (kind === 'reportSpace') return { kind, session, number, acknowledgedBelow, report: decodeReport(value) };
  return { kind, session, number, acknowledgedBelow };
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

/** What is wrong with a key or a value. */
export interface CommandProblem {
  readonly code: 'invalid' | 'tooLarge';
  readonly message: string;
}

/** Says what is wrong with a key, or `undefined`. */
export function keyProblem(key: Uint8Array): CommandProblem | undefined {
  if (key.length === 0) return { code: 'invalid', message: 'the key is empty: give a key of 1 to 1024 bytes' };
  if (key.length <= keyBytesMax) return undefined;
  return { code: 'tooLarge', message: `the key has ${key.length} bytes: at most ${keyBytesMax} are allowed` };
}

/** Says what is wrong with a value, or `undefined`. */
export function valueProblem(value: Uint8Array): CommandProblem | undefined {
  if (value.length <= valueBytesMax) return undefined;
  const message = `the value has ${value.length} bytes: at most ${valueBytesMax} (1 MiB) are allowed`;
  return { code: 'tooLarge', message };
}

const sessionInSession: CommandProblem = {
  code: 'invalid',
  message: 'a session is opened by a command that belongs to none: its session must be 0',
};

/** Says what is wrong with what a command holds, or `undefined`. One that has a problem is refused when it is applied, too. */
export function commandProblem(command: Command): CommandProblem | undefined {
  if (command.kind === 'reportSpace') return undefined;
  if (command.kind === 'openSession') return command.session === 0 ? undefined : sessionInSession;
  return keyProblem(command.key) ?? (command.kind === 'put' ? valueProblem(command.value) : undefined);
}

function kindOf(code: number): CommandKind {
  switch (code) {
    case kindCodes.put:
    case conditionalCodes.put:
      return 'put';
    case kindCodes.delete:
    case conditionalCodes.delete:
      return 'delete';
    case kindCodes.openSession:
      return 'openSession';
    case kindCodes.reportSpace:
      return 'reportSpace';
    default:
      throw new DecodeError(`unknown command kind ${code}`);
  }
}
