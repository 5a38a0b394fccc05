import type { UnionCodecs } from './codec.ts';
import type { TakeOver } from './peer-message.ts';

/** A message of leadership that has no fields. */
export const leadershipCodecs: UnionCodecs<TakeOver> = {
  TakeOver: {
    encode: () => {},
    decode: () => ({ type: 'TakeOver' }),
  },
};
