import { putU32 } from '../../src/base/bytes.ts';
import { crc32 } from '../../src/base/crc32.ts';

/** The frame with the checksum that fits what is in it. */
export function sealed(frame: Uint8Array): Uint8Array {
  putU32(frame, 1, crc32(frame, 0, 5));
  return frame;
}
