import type { ByteReader, ByteWriter } from '../base/bytes.ts';
import { type Codec, optionalCodec } from './codec.ts';
import { addressBytesMax } from './limits.ts';

/** An address ("host:port") as text. */
export const addressCodec: Codec<string> = {
  encode: (writer: ByteWriter, address: string) => {
    writer.text(address);
  },
  decode: (reader: ByteReader) => reader.text(addressBytesMax),
};

export const optionalAddressCodec: Codec<string | undefined> = optionalCodec(addressCodec);
