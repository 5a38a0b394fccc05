/** Sizes of the two quorums. `prepare + accept > n` makes each prepare quorum meet each accept quorum. */
export interface QuorumSizes {
  readonly prepare: number;
  readonly accept: number;
}

/** A majority of `n` for both. */
export function majority(n: number): QuorumSizes {
  const size = Math.floor(n / 2) + 1;
  return { prepare: size, accept: size };
}

/**
 * Says what is wrong with `sizes` for `n` nodes, or `undefined` if they are sound (PROTOCOL: flexible quorums).
 */
export function quorumProblem(sizes: QuorumSizes, n: number): string | undefined {
  for (const [name, size] of [
    ['prepare', sizes.prepare],
    ['accept', sizes.accept],
  ] as const) {
    if (!Number.isInteger(size) || size < 1 || size > n) {
      return `${name} quorum is ${size}, it must be a whole number from 1 to ${n}`;
    }
  }
  if (sizes.prepare + sizes.accept <= n) {
    return `prepare quorum ${sizes.prepare} + accept quorum ${sizes.accept} must be over ${n}`;
  }
  return undefined;
}
