/** Size of a pooled buffer: a piece of state with its frame fits. */
const pooledBytes = 160 * 1024;
/** Smaller ones are cheap to make and to collect. */
const wantedBytesMin = 64 * 1024;
/** Most buffers kept for use again. */
const spareMax = 16;

const spare: Uint8Array[] = [];

/**
 * A buffer of at least `bytes` bytes, with whatever was in it before: one that was given back, if the size is a pooled one, else new.
 * V8 collects the whole heap for the sake of large buffers that are dropped, however small it is.
 */
export function takeBuffer(bytes: number): Uint8Array {
  if (bytes < wantedBytesMin || bytes > pooledBytes) return new Uint8Array(bytes);
  return spare.pop() ?? new Uint8Array(pooledBytes);
}

/** True if the buffer below is worth giving back. */
export function isPooled({ buffer }: Uint8Array): boolean {
  return buffer instanceof ArrayBuffer && buffer.byteLength === pooledBytes;
}

/** Nobody looks at `bytes`, or at anything else in their buffer, any more. To be called once; who never does leaves them to V8. */
export function giveBuffer(bytes: Uint8Array): void {
  if (isPooled(bytes) && spare.length < spareMax) spare.push(new Uint8Array(bytes.buffer));
}
