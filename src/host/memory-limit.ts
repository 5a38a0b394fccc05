/** How much memory this process may have, bytes, where it is in a container or a unit with a limit. */
export function memoryLimit(): number | undefined {
  const bytes = process.constrainedMemory();
  // Without a limit some systems say 0, others more than there is anywhere.
  return bytes > 0 && bytes < Number.MAX_SAFE_INTEGER ? bytes : undefined;
}
