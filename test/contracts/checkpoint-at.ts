import type { SessionChange, StateStore } from '../../src/kv/state-store.ts';

/** Makes all that is staged durable, as one layer; nothing else may be sealed. */
export function checkpointAt(
  store: StateStore,
  appliedIndex: number,
  sessions: readonly SessionChange[] = [],
): Promise<void> {
  store.seal(appliedIndex, sessions);
  return store.checkpoint();
}
