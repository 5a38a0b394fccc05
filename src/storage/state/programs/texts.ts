import { batchOperations } from './batch-operations.ts';
import { checkRecords } from './check-records.ts';
import { programText } from './program-text.ts';
import { sealedRecords } from './sealed-records.ts';
import { writeBatches } from './write-batches.ts';

/*
 * Programs for threads and processes of their own. The build makes constants of these: bundlers of those who use the library put calls of
 * functions of theirs into ours, which the text of a function has, and nobody else.
 */

/** See {@link writeBatches}. */
export const writeBatchesText = programText(writeBatches, { batchOperations, sealedRecords });
/** See {@link checkRecords}. */
export const checkRecordsText = programText(checkRecords, {});
