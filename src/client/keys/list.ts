import type { Consistency, RequestBody, WirePair } from '../../wire/client-message.ts';
import { pairsPerAnswerMax } from '../../wire/limits.ts';
import { ask } from '../ask.ts';
import { type CallLimits, readTraits } from '../call/call.ts';
import { KvError } from '../call/errors.ts';
import type { KvValue, OwnBytes } from '../call/get-call.ts';
import { GatheredBytes } from '../gathered-bytes.ts';
import type { Requests } from '../requests.ts';
import { Watch } from './watch.ts';

/** Most pairs of a list. */
export const listPairsMax = 100_000;

/** Pairs asked for at a time: an answer is bounded in bytes as well. */
const pagePairs = pairsPerAnswerMax;

const remedy = 'give a limit, a longer prefix, or read page by page, with scan';
const tooLong = `there are over ${listPairsMax} pairs: ${remedy}`;

/** A key with its value and the revision of its last change. */
export interface KvListing extends KvValue {
  readonly key: OwnBytes;
}

/** What is the same for all pages. */
export interface ListQuery {
  readonly consistency: Consistency;
  readonly prefix: Uint8Array;
}

/** Which of the keys below a prefix. */
export interface ListPart {
  /** Those behind this key. */
  readonly after: Uint8Array | undefined;
  /** Most pairs. Undefined: {@link listPairsMax}, and more are an error. */
  readonly limit: number | undefined;
}

export interface Page {
  readonly pairs: KvListing[];
  /** There are more behind these. */
  readonly more: boolean;
}

/** One page of what is behind `after`, of as many pairs as an answer holds, `pairsMax` at the most. */
export async function pageOf(
  requests: Requests,
  query: ListQuery,
  after: Uint8Array | undefined,
  limits: CallLimits,
  pairsMax = pagePairs,
): Promise<Page> {
  const limit = Math.min(pairsMax, pagePairs);
  const body: RequestBody = { type: 'list', ...query, after, limit };
  const page = await ask(requests, body, readTraits(query.consistency), limits, (answer) =>
    answer.type === 'pairs' ? answer : undefined,
  );
  return { pairs: page.pairs.map(copyOf), more: page.more && page.pairs.length > 0 };
}

/**
 * The keys with a prefix, page by page; where all are wanted and more than one page holds, as they were at one moment instead, unless what is
 * read is local. `limitsLeft` gives what is left of the call's limits. Error `tooLarge`.
 */
export async function listOf(
  requests: Requests,
  query: ListQuery,
  { after, limit }: ListPart,
  limitsLeft: () => CallLimits,
): Promise<KvListing[]> {
  const pairsMax = limit ?? listPairsMax;
  const found: KvListing[] = [];
  const gathered = new GatheredBytes(remedy);
  let page = await pageOf(requests, query, after, limitsLeft(), pairsMax);
  const isWhole = limit === undefined && after === undefined;
  if (page.more && isWhole && query.consistency !== 'local') return stateBelow(requests, query.prefix, limitsLeft());
  for (;;) {
    for (const pair of page.pairs) {
      gathered.add(pair);
      found.push(pair);
    }
    const left = pairsMax - found.length;
    if (!page.more || (left <= 0 && typeof limit === 'number')) return found;
    if (left <= 0) throw new KvError('tooLarge', tooLong, 'notApplied');
    page = await pageOf(requests, query, found.at(-1)?.key, limitsLeft(), left);
  }
}

/** As a watch begins, with what changed while it was read. */
async function stateBelow(requests: Requests, prefix: Uint8Array, limits: CallLimits): Promise<KvListing[]> {
  const watched = { key: prefix, isPrefix: true };
  const state = await new Watch(requests, watched, { ...limits, oneCall: { remedy } }).state();
  const pairs = state.flatMap((change) => (change.type === 'put' ? [copyOf(change)] : []));
  return pairs.sort((a, b) => Buffer.compare(a.key, b.key));
}

/** Copies, since what a frame's views point to is the whole frame. */
function copyOf(pair: WirePair): KvListing {
  return { key: new Uint8Array(pair.key), value: new Uint8Array(pair.value), revision: pair.revision };
}
