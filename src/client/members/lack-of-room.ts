import { formatBytes } from '../../base/byte-size.ts';
import type { LackOfRoom, NodeSpace } from '../../wire/client-message.ts';

/** What keeps a node from being filled, to go on behind "has". */
export function describeLackOfRoom({ neededBytes, roomBytes }: LackOfRoom): string {
  return `no room for the state: it takes about ${formatBytes(neededBytes)}, and ${formatBytes(roomBytes)} are left`;
}

/** The same of one that has filled up. */
export function describeFull({ usedBytes, capacityBytes }: NodeSpace): string {
  return `no room for all data: ${formatBytes(usedBytes)} of ${formatBytes(capacityBytes)} are used`;
}
