import type { ReadsView } from '../../src/replica/clients/reads.ts';
import type { ConnectionId } from '../../src/replica/events.ts';

type Settable = { -readonly [Name in keyof ReadsView]: ReadsView[Name] };

/** A node that serves and has no vote, for reads that are tried alone; `congested` are clients that take nothing. */
export function readsView(): { view: Settable; congested: Set<ConnectionId> } {
  const congested = new Set<ConnectionId>();
  const view: Settable = {
    nowMs: 0,
    voter: undefined,
    isLed: true,
    whyNoLeader: 'nobody leads',
    refusal: undefined,
    formingRefusal: undefined,
    isCongested: (connection) => congested.has(connection),
    status: () => ({ nodeId: 1 }) as never,
  };
  return { view, congested };
}
