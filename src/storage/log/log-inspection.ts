import { closeSync, openSync } from 'node:fs';
import { DamagedError } from '../disk/storage-error.ts';
import { messageOf } from '../disk/system-error.ts';
import { BlockDamage, decodeBlock } from './log-block-codec.ts';
import type { LogHead } from './log-head.ts';
import { readAt, segmentFile } from './wal-files.ts';
import type { LogOwner } from './wal-record.ts';
import { type RecoveredLog, recoverLog } from './wal-recovery.ts';

/** What a log holds, all of it checked. */
export interface LogInspection {
  readonly head: LogHead;
  readonly owner: LogOwner;
  /** Records ever written. */
  readonly records: number;
  /** Of the segments in use. */
  readonly bytes: number;
}

/**
 * Reads every record and every entry of the log in `directory`, changing nothing; `undefined` if none was ever made there.
 * `onSegment` is told which of how many segments is read. Throws a {@link DamagedError} at the first damage.
 */
export function inspectLog(
  directory: string,
  onSegment: (number: number, count: number) => void,
): LogInspection | undefined {
  const log = recoverLog(directory);
  if (log === undefined) return undefined;
  checkEntries(directory, log, onSegment);
  const bytes = log.segments.reduce((sum, segment) => sum + segment.bytes, 0);
  return { head: log.head, owner: log.owner, records: log.number - 1, bytes };
}

function checkEntries(directory: string, log: RecoveredLog, onSegment: (number: number, count: number) => void): void {
  let file: number | undefined;
  let present: number | undefined;
  const close = () => {
    const opened = file;
    file = undefined;
    if (opened !== undefined) closeSync(opened);
  };
  try {
    for (let at = 0; at < log.blocks.count; at++) {
      const { segment } = log.blocks.place(at);
      if (file === undefined || segment !== present) {
        close();
        present = segment;
        file = openSync(segmentFile(directory, segment), 'r');
        onSegment(1 + log.segments.findIndex((one) => one.segment === segment), log.segments.length);
      }
      checkBlock(directory, log, at, file);
    }
  } finally {
    close();
  }
}

function checkBlock(directory: string, log: RecoveredLog, at: number, file: number): void {
  const { segment, offset, length } = log.blocks.place(at);
  const first = log.blocks.first(at) as number;
  const end = log.blocks.first(at + 1) ?? log.head.endIndex;
  try {
    decodeBlock(readAt(file, offset, length), first, end - first);
  } catch (error) {
    const index = error instanceof BlockDamage ? error.index : first;
    throw new DamagedError(segmentFile(directory, segment), `log entry ${index} (offset ${offset})`, messageOf(error));
  }
}
