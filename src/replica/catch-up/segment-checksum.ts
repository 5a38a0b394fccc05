import { crc32, crc32OfFixed } from '../../base/crc32.ts';
import type { Entry } from '../../omnipaxos/entry.ts';

/** CRC-32 over the position and the bytes of entries on their way to a node that catches up. */
export function segmentChecksum(from: number, entries: readonly Entry<Uint8Array>[]): number {
  let checksum = crc32(numbers(from, entries.length));
  for (const entry of entries) {
    if (entry.type === 'Normal') checksum = crc32OfFixed(entry.entry, checksum);
    else {
      const { configId, nodes, metadata } = entry.stopSign;
      checksum = crc32(numbers(configId, ...nodes), checksum);
      if (metadata) checksum = crc32(metadata, checksum);
    }
  }
  return checksum;
}

function numbers(...values: readonly number[]): Uint8Array {
  const bytes = new DataView(new ArrayBuffer(8 * values.length));
  for (const [at, value] of values.entries()) bytes.setFloat64(8 * at, value);
  return new Uint8Array(bytes.buffer);
}
