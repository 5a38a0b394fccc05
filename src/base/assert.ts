/**
 * A broken invariant. Whoever sees one must stop the node: what is in memory can no longer be trusted,
 * and going on could acknowledge something that is not so.
 */
export class InvariantError extends Error {
  override readonly name = 'InvariantError';
}

/**
 * Stops with an {@link InvariantError} unless `condition` holds. Stays on in production. Where many pass, figures are given by themselves:
 * a message that has them in it is made for each who passes, and their digits would stay in memory for long.
 */
export function assert(condition: boolean, message: string, figure?: number, other?: number): asserts condition {
  if (condition) return;
  const figures = [figure, other].filter((each) => each !== undefined);
  throw new InvariantError(figures.length === 0 ? message : `${message}: ${figures.join(', ')}`);
}

/** Closes an exhaustive `switch`: the compiler proves that it is never reached, and at run time it stops the node. */
export function assertNever(value: never, what: string): never {
  throw new InvariantError(`unexpected ${what}: ${JSON.stringify(value)}`);
}
