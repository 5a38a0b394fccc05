/** Size of a pooled buffer: a piece of state with its frame fits. */
const pooledBytes = 160 * 1024;
/** Smaller ones are cheap to make and to collect. */
const wantedBytesMin = 64 * 1024;
/** Most buffers kept for use again. */
const spareMax = 16;
/** So small a buffer is a part of a slab: one of its own costs V8 more, outside of its heap, than the message in it. */
const smallBytesMax = 1024;
const slabBytes = 16 * 1024;

const spare: Uint8Array[] = [];
let slab = new Uint8Array(0);
let slabUsed = 0;

/**
 * A buffer of at least `bytes` bytes, with whatever was in it before: one that was given back, if the size is a pooled one, else new.
 * V8 collects the whole heap for the sake of large buffers that are dropped, however small it is.
 */
export function takeBuffer(bytes: number): Uint8Array {
  if (bytes <= smallBytesMax) return takeFromSlab(bytes);
  if (bytes < wantedBytesMin || bytes > pooledBytes) return new Uint8Array(bytes);
  return spare.pop() ?? new Uint8Array(pooledBytes);
}

/** A copy of `bytes` from `start` to `end`, for what is soon used and dropped: a small one is a part of a slab. */
export function takeCopy(bytes: Uint8Array, start = 0, end = bytes.length): Uint8Array {
  const copy = takeExact(end - start);
  copy.set(bytes.subarray(start, end));
  return copy;
}

/** A buffer of `bytes` bytes, with whatever is in it, for what is soon used and dropped: a small one is a part of a slab. */
export function takeExact(bytes: number): Uint8Array {
  return bytes <= smallBytesMax ? takeFromSlab(bytes) : new Uint8Array(bytes);
}

/** Each part is given out once; the slab goes when all of them have. */
function takeFromSlab(bytes: number): Uint8Array {
  if (slabUsed + bytes > slab.length) {
    slab = new Uint8Array(slabBytes);
    slabUsed = 0;
  }
  slabUsed += bytes;
  return slab.subarray(slabUsed - bytes, slabUsed);
}

/**
 * What to send behind `queuedBytes` that nobody has taken yet: a copy if `bytes` have to wait and are a part of a slab, which would wait
 * with them. Else a few bytes, each of a slab of its own, would hold two hundred times what they count as.
 */
export function behindQueued(queuedBytes: number, bytes: Uint8Array): Uint8Array {
  return queuedBytes > 0 && bytes.buffer.byteLength === slabBytes ? bytes.slice() : bytes;
}

/** True if the buffer below is worth giving back. */
export function isPooled({ buffer }: Uint8Array): boolean {
  return buffer instanceof ArrayBuffer && buffer.byteLength === pooledBytes;
}

/** Nobody looks at `bytes`, or at anything else in their buffer, any more. To be called once; who never does leaves them to V8. */
export function giveBuffer(bytes: Uint8Array): void {
  if (isPooled(bytes) && spare.length < spareMax) spare.push(new Uint8Array(bytes.buffer));
}
