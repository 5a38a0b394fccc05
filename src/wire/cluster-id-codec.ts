import { type ByteReader, type ByteWriter, DecodeError } from '../base/bytes.ts';

/** 16 lower-case hexadecimal digits, not all zero: zeros stand for "no cluster yet" on the wire. */
export const clusterIdPattern = /^(?!0{16})[0-9a-f]{16}$/;

/** A cluster id as 8 bytes; zeros for undefined. Throws a RangeError for anything that does not fit {@link clusterIdPattern}. */
export function encodeClusterId(writer: ByteWriter, clusterId: string | undefined): void {
  if (clusterId === undefined) {
    writer.u32(0).u32(0);
    return;
  }
  if (!clusterIdPattern.test(clusterId))
    throw new RangeError(`no cluster id: ${clusterId} (16 hexadecimal digits are due)`);
  writer.u32(Number.parseInt(clusterId.slice(0, 8), 16)).u32(Number.parseInt(clusterId.slice(8), 16));
}

export function decodeClusterId(reader: ByteReader): string | undefined {
  const high = reader.u32();
  const low = reader.u32();
  if (high === 0 && low === 0) return undefined;
  return high.toString(16).padStart(8, '0') + low.toString(16).padStart(8, '0');
}

/** As {@link decodeClusterId} where one must be. */
export function decodeBoundClusterId(reader: ByteReader): string {
  const clusterId = decodeClusterId(reader);
  if (clusterId === undefined) throw new DecodeError('a cluster id of zeros where one is due');
  return clusterId;
}
