/** Smaller buffers are cheap to make and to collect, and so they are not pooled. */
const pooledBytesMin = 64 * 1024;
/** What the pooled ones have: some a piece of state with its frame, the largest a value of the largest size with its own. */
const pooledSizes = [160 * 1024, 640 * 1024, 1152 * 1024] as const;
/** Most bytes kept of each size for use again. */
const spareBytesMax = [16 * 160 * 1024, 8 * 640 * 1024, 8 * 1152 * 1024] as const;
/** So small a buffer is a part of a slab: one of its own costs V8 more, outside of its heap, than the message in it. */
const smallBytesMax = 1024;
const slabBytes = 16 * 1024;

/** By the place of their size. */
const spare: readonly Uint8Array[][] = pooledSizes.map(() => []);
let slab = new Uint8Array(0);
let slabUsed = 0;

/**
 * A buffer of at least `bytes` bytes, with whatever was in it before: one that was given back, if the size is a pooled one, else new.
 * V8 collects the whole heap for the sake of large buffers that are dropped, however small it is, and memory that is new is twenty times as slow to
 * write to as memory that was used before.
 */
export function takeBuffer(bytes: number): Uint8Array {
  if (bytes <= smallBytesMax) return takeFromSlab(bytes);
  if (bytes < pooledBytesMin) return new Uint8Array(bytes);
  for (let at = 0; at < pooledSizes.length; at++) {
    const size = pooledSizes[at] as number;
    if (bytes <= size) return spare[at]?.pop() ?? new Uint8Array(size);
  }
  return new Uint8Array(bytes);
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

/** For whoever sends `bytes`, to be called once nobody looks at them any more; undefined if their buffer is not worth giving back. */
export function whenSent(bytes: Uint8Array): (() => void) | undefined {
  return isPooled(bytes) ? () => giveBuffer(bytes) : undefined;
}

function isPooled({ buffer }: Uint8Array): boolean {
  return buffer instanceof ArrayBuffer && placeOf(buffer.byteLength) >= 0;
}

function placeOf(bytes: number): number {
  return bytes < pooledBytesMin ? -1 : (pooledSizes as readonly number[]).indexOf(bytes);
}

/** Nobody looks at `bytes`, or at anything else in their buffer, any more. To be called once; who never does leaves them to V8. */
export function giveBuffer(bytes: Uint8Array): void {
  if (!isPooled(bytes)) return;
  const at = placeOf(bytes.buffer.byteLength);
  const kept = spare[at] as Uint8Array[];
  if ((kept.length + 1) * bytes.buffer.byteLength <= (spareBytesMax[at] as number))
    kept.push(new Uint8Array(bytes.buffer));
}
