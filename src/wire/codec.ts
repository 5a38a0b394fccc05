import { type ByteReader, type ByteWriter, DecodeError } from '../base/bytes.ts';

/**
 * Writes and reads one kind of thing.
 *
 * `encode` trusts its own side: it throws {@link OverLimitError} where a count or size breaks a limit of the wire, and a RangeError
 * for a number that is none of its.
 * `decode` trusts nobody: it throws {@link DecodeError} on anything that `encode` would not have written. Byte arrays that it
 * gives are views into the frame: they keep the whole of it alive.
 */
export interface Codec<T> {
  readonly encode: (writer: ByteWriter, value: T) => void;
  readonly decode: (reader: ByteReader) => T;
}

/** More than the wire carries in one piece: whoever makes messages must bound them. */
export class OverLimitError extends RangeError {
  override readonly name = 'OverLimitError';
}

/** A codec for each member of a union told apart by `type`. The type itself is written by whoever dispatches. */
export type UnionCodecs<Union extends { readonly type: string }> = {
  readonly [Type in Union['type']]: Codec<Extract<Union, { readonly type: Type }>>;
};

/** A truth value as one byte. */
export function writeFlag(writer: ByteWriter, value: boolean): void {
  writer.u8(value ? 1 : 0);
}

export function readFlag(reader: ByteReader): boolean {
  const byte = reader.u8();
  if (byte > 1) throw new DecodeError(`${byte} where 0 (no) or 1 (yes) is due`);
  return byte === 1;
}

/** Something that may be missing: a flag, then the thing. */
export function optionalCodec<T>(codec: Codec<T>): Codec<T | undefined> {
  return {
    encode: (writer, value) => {
      writeFlag(writer, value !== undefined);
      if (value !== undefined) codec.encode(writer, value);
    },
    decode: (reader) => (readFlag(reader) ? codec.decode(reader) : undefined),
  };
}

export const optionalBytesCodec: Codec<Uint8Array | undefined> = optionalCodec({
  encode: (writer: ByteWriter, bytes: Uint8Array) => {
    writer.bytes(bytes);
  },
  decode: (reader: ByteReader) => reader.bytes(),
});

/** Several of a kind, count first; at most `countMax`. */
export function listCodec<T>(codec: Codec<T>, countMax: number): Codec<readonly T[]> {
  return {
    encode: (writer, values) => {
      if (values.length > countMax)
        throw new OverLimitError(`${values.length} items where at most ${countMax} are allowed`);
      writer.varuint(values.length);
      for (const value of values) codec.encode(writer, value);
    },
    decode: (reader) => {
      const values: T[] = [];
      for (let left = reader.count(countMax); left > 0; left--) values.push(codec.decode(reader));
      return values;
    },
  };
}

/** One of a few words, as one byte. `codes` says which byte each is; a code once given is never given to another word. */
export function wordCodec<Word extends string>(codes: Readonly<Record<Word, number>>): Codec<Word> {
  const words: (Word | undefined)[] = [];
  for (const word of Object.keys(codes) as Word[]) words[codes[word]] = word;
  return {
    encode: (writer, word) => {
      writer.u8(codes[word]);
    },
    decode: (reader) => {
      const code = reader.u8();
      const word = words[code];
      if (word === undefined)
        throw new DecodeError(`unknown code ${code}: one of ${Object.keys(codes).join(', ')} is due`);
      return word;
    },
  };
}

/**
 * A union: the code of its type as one byte, then what the type's own codec writes.
 * A code once given is never given to another type.
 */
export function unionCodec<Union extends { readonly type: string }>(
  codes: Readonly<Record<Union['type'], number>>,
  codecs: UnionCodecs<Union>,
): Codec<Union> {
  const types = wordCodec<Union['type']>(codes);
  const codecOf = codecs as unknown as Readonly<Record<string, Codec<Union>>>;
  return {
    encode: (writer, value) => {
      types.encode(writer, value.type);
      (codecOf[value.type] as Codec<Union>).encode(writer, value);
    },
    decode: (reader) => (codecOf[types.decode(reader)] as Codec<Union>).decode(reader),
  };
}
