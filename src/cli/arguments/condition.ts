import * as Flags from '@oclif/core/flags';
import { checkedRevision } from '../../client/input.ts';
import { InputError } from '../../cluster/input-error.ts';

/** On which revision of the key a write depends. */
export const ifRevisionFlag = Flags.string({
  helpValue: 'N',
  description:
    'only if the key is at this revision, as kv get --json tells it; else exit code 4, and nothing is changed',
});

/** A revision as it was written; `what` names it. Throws {@link InputError}, or a KvError, for what is none. */
export function parseRevision(text: string | undefined, what = '--if-revision'): number | undefined {
  if (text === undefined) return undefined;
  if (!/^[0-9]+$/.test(text))
    throw new InputError(`${what} is "${text}": give a whole number, as kv get --json tells it`);
  return checkedRevision(Number(text), what);
}
