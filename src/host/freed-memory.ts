/**
 * A little less than the largest block that glibc learns from (32 MiB), and up to twice as much as this it keeps: more than a few large values in
 * their frames, and the pages that a checkpoint changes at a time.
 */
const blockBytes = 31 * 1024 * 1024;

/**
 * Has the system's memory allocator keep what large blocks leave behind when they are freed, instead of giving it back: else each value of
 * 100 KiB or more is received into memory that is new to the process, a page fault for every 4 KiB of it. glibc begins so, and goes by
 * the largest block that it has seen freed (`mallopt(3)`: M_MMAP_THRESHOLD, dynamic). So one is made that nobody writes to, which takes no
 * memory, and dropped: V8 frees it with its next collection. Other allocators make nothing of it. For a process that does nothing but run a
 * node: it is a setting of the whole process.
 */
export function keepFreedMemory(): void {
  void new Uint8Array(blockBytes);
}
