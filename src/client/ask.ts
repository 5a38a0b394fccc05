import type { RequestBody } from '../wire/client-message.ts';
import { type Answer, type CallLimits, type CallTraits, outgoing, PromiseCall } from './call/call.ts';
import type { Requests } from './requests.ts';

/**
 * Makes a call that needs no more than its answer. Resolves to what `read` makes of that; rejects with a KvError, also where `read` gives undefined:
 * then it is an answer to something else.
 */
export function ask<Result>(
  requests: Requests,
  body: RequestBody,
  callTraits: CallTraits,
  limits: CallLimits,
  read: (answer: Answer, endpoint: string) => Result | undefined,
): Promise<Result> {
  return new Promise((resolve, reject) => {
    const settlement = { read, resolve, reject };
    const call = new PromiseCall(callTraits, limits, performance.now(), outgoing(body), settlement);
    requests.submit(call);
  });
}
