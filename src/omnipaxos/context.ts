import type { ResolvedOptions } from './configuration.ts';
import type { Log } from './log.ts';
import type { Outbox } from './outbox.ts';

/** What both roles work on. */
export interface Context<T> {
  readonly options: ResolvedOptions<T>;
  readonly log: Log<T>;
  readonly outbox: Outbox<T>;
}
