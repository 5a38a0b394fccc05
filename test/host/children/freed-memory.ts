// Says how many page faults there are in writing to a block of memory once another one of its size was freed.
import { keepFreedMemory } from '../../../src/host/freed-memory.ts';

const blockBytes = 8 * 1024 * 1024;
/** Twice: what one finds to be dropped may be freed by the next. */
function collect(): void {
  const { gc } = globalThis as { gc?: () => void };
  gc?.();
  gc?.();
}

function use(): number {
  const before = process.resourceUsage().minorPageFault;
  new Uint8Array(blockBytes).fill(1);
  return process.resourceUsage().minorPageFault - before;
}

if (process.argv.includes('kept')) keepFreedMemory();
collect();
use();
collect();
process.stdout.write(`${use()}`);
