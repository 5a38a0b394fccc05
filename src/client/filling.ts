import { setTimeout as delay } from 'node:timers/promises';
import type { NewcomerFilling } from '../wire/client-message.ts';

/** Between two steps, milliseconds. That all is there is known by the second step after it. */
const stepMs = 100;
/** How long a newcomer may be out of reach from the first on, before the change is proposed: the node that proposes says why not. */
const linkPatienceMs = 2000;

/**
 * Repeats `step`, which asks a member to have newcomers pull all data, until they have it. Gives up without a word where one of them
 * was never reached. Says after `timeoutMs` which do not have it and that nothing was changed; undefined if all is well.
 */
export async function fillingProblem(
  step: () => Promise<readonly NewcomerFilling[]>,
  timeoutMs: number,
): Promise<string | undefined> {
  const deadlineMs = performance.now() + timeoutMs;
  const reached = new Set<number>();
  let firstMs: number | undefined;
  for (;;) {
    const newcomers = await step();
    if (newcomers.every(({ isFilled }) => isFilled)) return undefined;
    const nowMs = performance.now();
    // The first step has them dialled: only from its answer on do they have time.
    firstMs ??= nowMs;
    for (const { id, isLinked } of newcomers) if (isLinked) reached.add(id);
    if (nowMs - firstMs >= linkPatienceMs && newcomers.some(({ id }) => !reached.has(id))) return undefined;
    if (nowMs >= deadlineMs) return notFilled(newcomers, timeoutMs);
    await delay(Math.min(stepMs, deadlineMs - nowMs));
  }
}

function notFilled(newcomers: readonly NewcomerFilling[], timeoutMs: number): string {
  const left = newcomers.filter(({ isFilled }) => !isFilled).map(({ id }) => id);
  const who = left.length > 1 ? `nodes ${left.join(', ')} do` : `node ${left.join(', ')} does`;
  return `${who} not have all data after ${timeoutMs / 1000} s: nothing was changed; ask again, and it goes on from there`;
}
