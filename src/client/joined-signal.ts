import { isSignal } from './input.ts';

/**
 * A signal that is aborted once one of several is. Unlike that of `AbortSignal.any` nothing of it stays with them once it is released: they may
 * live as long as the process.
 */
export class JoinedSignal {
  readonly #controller = new AbortController();
  readonly #joined: readonly AbortSignal[];

  /** What is no signal is passed over. */
  constructor(signals: readonly unknown[]) {
    this.#joined = signals.filter(isSignal);
    for (const signal of this.#joined) {
      if (signal.aborted) this.#controller.abort(signal.reason);
      else follow(signal, this.#onAbort);
    }
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** It follows the others no more. */
  release(): void {
    for (const signal of this.#joined) unfollow(signal, this.#onAbort);
  }

  readonly #onAbort = (reason: unknown): void => this.#controller.abort(reason);
}

type Follower = (reason: unknown) => void;

/** One listener for all that follow a signal: a process may have one for all that it does, and Node takes more than ten listeners for a leak. */
const followersOf = new WeakMap<AbortSignal, Set<Follower>>();

function follow(signal: AbortSignal, follower: Follower): void {
  const followers = followersOf.get(signal) ?? new Set();
  if (followers.size === 0) {
    followersOf.set(signal, followers);
    signal.addEventListener('abort', tellFollowers);
  }
  followers.add(follower);
}

function unfollow(signal: AbortSignal, follower: Follower): void {
  const followers = followersOf.get(signal);
  if (!followers?.delete(follower) || followers.size > 0) return;
  followersOf.delete(signal);
  signal.removeEventListener('abort', tellFollowers);
}

function tellFollowers({ target }: Event): void {
  const signal = target as AbortSignal;
  for (const follower of [...(followersOf.get(signal) ?? [])]) follower(signal.reason);
}
