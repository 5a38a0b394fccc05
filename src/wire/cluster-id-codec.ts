import { type ByteReader, type ByteWriter, DecodeError } from '../base/bytes.ts';

/** 16 lower-case hexadecimal digits, not all zero: zeros stand for "no cluster yet" on the wire. */
export const clusterIdPattern = /^(?!0{16})[0-9a-f]{16}$/;

/** The id that was last encoded or decoded, as two numbers of 32 bits: nearly all frames of a node name the same one. */
let last: { readonly clusterId: string; readonly high: number; readonly low: number } | undefined;

/** A cluster id as 8 bytes; zeros for undefined. Throws a RangeError for anything that does not fit {@link clusterIdPattern}. */
export function encodeClusterId(writer: ByteWriter, clusterId: string | undefined): void {
  if (clusterId === undefined) {
    writer.u32(0).u32(0);
    return;
  }
  if (last?.clusterId !== clusterId) last = numbersOf(clusterId);
  writer.u32(last.high).u32(last.low);
}

export function decodeClusterId(reader: ByteReader): string | undefined {
  const high = reader.u32();
  const low = reader.u32();
  if (high === 0 && low === 0) return undefined;
  if (last?.high !== high || last.low !== low) last = { clusterId: textOf(high) + textOf(low), high, low };
  return last.clusterId;
}

/** As {@link decodeClusterId} where one must be. */
export function decodeBoundClusterId(reader: ByteReader): string {
  const clusterId = decodeClusterId(reader);
  if (clusterId === undefined) throw new DecodeError('a cluster id of zeros where one is due');
  return clusterId;
}

function numbersOf(clusterId: string): NonNullable<typeof last> {
  if (!clusterIdPattern.test(clusterId))
    throw new RangeError(`no cluster id: ${clusterId} (16 hexadecimal digits are due)`);
  const [high, low] = [clusterId.slice(0, 8), clusterId.slice(8)].map((digits) => Number.parseInt(digits, 16));
  return { clusterId, high: high as number, low: low as number };
}

function textOf(number: number): string {
  return number.toString(16).padStart(8, '0');
}
