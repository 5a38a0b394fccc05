import { ByteReader, ByteWriter, DecodeError } from '../base/bytes.ts';
import { crc32 } from '../base/crc32.ts';

/*
 * A command as it travels: encoded once by the client, carried as these bytes through gateway, log and network,
 * decoded only where it is applied. The checksum in front goes with it all the way.
 *
 *   crc32 (4) · kind (1) · session · number · acknowledgedBelow (varuints) · key (length first) · value (the rest)
 */

export const commandKinds = { openSession: 0, put: 1, delete: 2 } as const;
export type CommandKind = keyof typeof commandKinds;

/** Most bytes of a key. */
export const keyBytesMax = 1024;
/** Most bytes of a value. */
export const valueBytesMax = 1024 * 1024;

/** Who gave a command, so that a retry is answered and not applied again (PROTOCOL mistake 25). */
export interface CommandOrigin {
  /** Id that `openSession` gave; 0 for `openSession` itself. */
  readonly session: number;
  /** Unique within the session, counting up; for `openSession` a random 48-bit number. */
  readonly number: number;
  /** The client has the answers of all numbers below: they may be forgotten. */
  readonly acknowledgedBelow: number;
}

export type Command = CommandOrigin &
  (
    | { readonly kind: 'openSession' }
    | { readonly kind: 'put'; readonly key: Uint8Array; readonly value: Uint8Array }
    | { readonly kind: 'delete'; readonly key: Uint8Array }
  );

const empty = new Uint8Array(0);

/** The bytes of a command. Limits are not checked here: see {@link commandProblem}. */
export function encodeCommand(command: Command): Uint8Array {
  const key = command.kind === 'openSession' ? empty : command.key;
  const value = command.kind === 'put' ? command.value : empty;
  const writer = new ByteWriter(40 + key.length + value.length)
    .u32(0)
    .u8(commandKinds[command.kind])
    .varuint(command.session)
    .varuint(command.number)
    .varuint(command.acknowledgedBelow)
    .bytes(key)
    .raw(value);
  return sealCommand(writer);
}

function sealCommand(writer: ByteWriter): Uint8Array {
  const bytes = writer.finish();
  writer.patchU32(0, crc32(bytes.subarray(4)));
  return bytes;
}

/** Only the origin, without a copy or a checksum: what a gateway needs to match the answer. Throws {@link DecodeError}. */
export function decodeOrigin(bytes: Uint8Array): CommandOrigin & { readonly kind: CommandKind } {
  const reader = new ByteReader(bytes, 4);
  const kind = kindOf(reader.u8());
  return { kind, session: reader.varuint(), number: reader.varuint(), acknowledgedBelow: reader.varuint() };
}

/** The whole command; key and value are views into `bytes`. Throws {@link DecodeError}; the checksum is not looked at. */
export function decodeCommand(bytes: Uint8Array): Command {
  const reader = new ByteReader(bytes, 4);
  const kind = kindOf(reader.u8());
  const origin = { session: reader.varuint(), number: reader.varuint(), acknowledgedBelow: reader.varuint() };
  const key = reader.bytes();
  const value = reader.rest();
  if (kind === 'put') return { kind, ...origin, key, value };
  if (kind === 'delete') return { kind, ...origin, key };
  return { kind, ...origin };
}

/** True if the checksum in front of the command fits its bytes. */
export function isCommandIntact(bytes: Uint8Array): boolean {
  return bytes.length > 4 && new ByteReader(bytes).u32() === crc32(bytes.subarray(4));
}

/** Says what is wrong with a key, or `undefined`. */
export function keyProblem(key: Uint8Array): string | undefined {
  if (key.length === 0) return 'the key is empty: give a key of 1 to 1024 bytes';
  if (key.length > keyBytesMax) return `the key has ${key.length} bytes: at most ${keyBytesMax} are allowed`;
  return undefined;
}

/** Says what is wrong with a value, or `undefined`. */
export function valueProblem(value: Uint8Array): string | undefined {
  if (value.length > valueBytesMax) {
    return `the value has ${value.length} bytes: at most ${valueBytesMax} (1 MiB) are allowed`;
  }
  return undefined;
}

/** Says which limit a command breaks, or `undefined`. */
export function commandProblem(command: Command): string | undefined {
  if (command.kind === 'openSession') return undefined;
  return keyProblem(command.key) ?? (command.kind === 'put' ? valueProblem(command.value) : undefined);
}

function kindOf(code: number): CommandKind {
  switch (code) {
    case commandKinds.put:
      return 'put';
    case commandKinds.delete:
      return 'delete';
    case commandKinds.openSession:
      return 'openSession';
    default:
      throw new DecodeError(`unknown command kind ${code}`);
  }
}
