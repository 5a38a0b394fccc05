/**
 * A broken invariant. Whoever sees one must stop the node: what is in memory can no longer be trusted,
 * and going on could acknowledge something that is not so.
 */
export class InvariantError extends Error {
  override readonly name = 'InvariantError';
}

/** Stops with an {@link InvariantError} unless `condition` holds. Stays on in production. */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new InvariantError(message);
}

/** Closes an exhaustive `switch`: the compiler proves that it is never reached, and at run time it stops the node. */
export function assertNever(value: never, what: string): never {
  throw new InvariantError(`unexpected ${what}: ${JSON.stringify(value)}`);
}
