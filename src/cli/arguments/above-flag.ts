import * as Flags from '@oclif/core/flags';

/** Of a command that makes a new cluster of old data. Revisions are whole numbers of 53 bits, of which the upper half is left to ranges of their own. */
export const aboveFlag = Flags.integer({
  min: 0,
  max: 2 ** 51,
  default: 0,
  helpValue: 'REVISION',
  description:
    'where another cluster was made of the same data before, restored or recovered: the highest revision that it has told, so that none of those comes again',
});
