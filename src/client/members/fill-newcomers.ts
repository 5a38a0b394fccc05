import { setTimeout as delay } from 'node:timers/promises';
import type { NewcomerFilling, NodeStatus, TargetNode } from '../../wire/client-message.ts';
import { KvError } from '../call/errors.ts';
import { RoomWatch } from './room-watch.ts';

/** Between two steps, milliseconds. That all is there is known by the second step after it. */
const stepMs = 100;
/**
 * How long a newcomer may be out of reach from the first on, before the change is proposed: the node that proposes says why not. Members that have no
 * link with it say so after a second and a half, and the next one is asked: of three, two may have none.
 */
const linkPatienceMs = 5000;
/** How often the newcomers themselves are asked how far they are, milliseconds: that is a connection each. */
const lookMs = 250;
/** How long a newcomer may take to answer, milliseconds. */
const lookTimeoutMsMax = 1000;
/** One that was reached, and is not for so long, is told of. */
const silenceMs = 5000;
/** An answer that takes longer says more of the one who is asked than of the newcomers, milliseconds. */
const answerMsMax = 1000;
/** Whoever received no more than this had the data before. */
const fewBytes = 1024 * 1024;

/** What filling takes of a client. */
export interface FillingClient {
  /** One step, see `KvClient.fill`. */
  fill(
    nodes: readonly TargetNode[],
    options: Pick<Filling, 'timeoutMs' | 'signal' | 'ifConfigurationId'>,
  ): Promise<readonly NewcomerFilling[]>;
  statusOf(endpoint: string, options: { readonly timeoutMs: number }): Promise<NodeStatus>;
}

/** How newcomers are filled. */
export interface Filling {
  /** Those who are to be the members. */
  readonly nodes: readonly TargetNode[];
  /** Only if this is the present configuration. */
  readonly ifConfigurationId?: number | undefined;
  /** Of each step, milliseconds; undefined: the client's own. */
  readonly timeoutMs?: number | undefined;
  /** Aborted, it ends the filling. */
  readonly signal?: AbortSignal | undefined;
  /** Until all newcomers have all data, milliseconds. */
  readonly fillTimeoutMs: number;
  /** Only these are waited for, and no member that stays and is far behind. */
  readonly ids?: readonly number[] | undefined;
  /** Called each time the newcomers were asked, with the answers of those that did. */
  readonly onLook?: (statuses: readonly NodeStatus[]) => void;
  /** Called when one that was reached has not been for five seconds. */
  readonly onSilent?: (newcomer: NewcomerFilling) => void;
}

/**
 * Resolves when all newcomers have all data, and so has a majority of those who are to be the members; and where one of them was never reached, since whoever proposes knows why. Errors, each
 * of which means that nothing was changed: `timeout`, which names those that do not have it in time; `noSpace`, if one of them has no
 * room for it; `reconfiguring`, if somebody else has changed the members; what a step throws.
 */
export async function fillNewcomers(client: FillingClient, filling: Filling): Promise<void> {
  const { nodes, ifConfigurationId, timeoutMs, signal, fillTimeoutMs, ids } = filling;
  const options = {
    ...(timeoutMs !== undefined && { timeoutMs }),
    ...(signal !== undefined && { signal }),
    ...(ifConfigurationId !== undefined && { ifConfigurationId }),
  };
  const deadlineMs = performance.now() + fillTimeoutMs;
  const look = new Look(client, filling);
  const links = new Links(filling.onSilent);
  let firstMs: number | undefined;
  for (;;) {
    const newcomers = (await client.fill(nodes, options)).filter(({ id }) => ids === undefined || ids.includes(id));
    const full = await look.full(newcomers);
    const lacking = newcomers.filter(({ id, isFilled }) => !isFilled || full.has(id)).map(({ id }) => id);
    if (lacking.length === 0) return;
    const nowMs = performance.now();
    // The first step has them dialled: only from its answer on do they have time.
    firstMs ??= nowMs;
    links.note(newcomers, nowMs);
    if (nowMs - firstMs >= linkPatienceMs && newcomers.some(({ id }) => !links.wasReached(id))) return;
    if (nowMs >= deadlineMs) throw notFilled(lacking, newcomers, fillTimeoutMs);
    await delay(Math.min(stepMs, deadlineMs - nowMs));
  }
}

/** Which newcomers the node that is asked has a link with. */
class Links {
  readonly #onSilent: Filling['onSilent'];
  /** For how long it has not been seen since it was: only time in which somebody answered counts. */
  readonly #unseenMs = new Map<number, number>();
  readonly #told = new Set<number>();
  #notedMs: number | undefined;

  constructor(onSilent: Filling['onSilent']) {
    this.#onSilent = onSilent;
  }

  wasReached(id: number): boolean {
    return this.#unseenMs.has(id);
  }

  note(newcomers: readonly NewcomerFilling[], nowMs: number): void {
    const sinceMs = Math.min(nowMs - (this.#notedMs ?? nowMs), answerMsMax);
    this.#notedMs = nowMs;
    for (const newcomer of newcomers) {
      const { id, isLinked } = newcomer;
      const before = this.#unseenMs.get(id);
      if (isLinked) this.#told.delete(id);
      if (before === undefined && !isLinked) continue;
      const unseenMs = isLinked ? 0 : (before ?? 0) + sinceMs;
      this.#unseenMs.set(id, unseenMs);
      if (unseenMs < silenceMs || this.#told.has(id)) continue;
      this.#told.add(id);
      this.#onSilent?.(newcomer);
    }
  }
}

/** Looks at newcomers now and then. */
class Look {
  readonly #client: FillingClient;
  readonly #filling: Filling;
  readonly #room = new RoomWatch();
  /** Those that took the data, and not only the last few entries of the log. */
  readonly #fed = new Set<number>();
  #lookedMs = Number.NEGATIVE_INFINITY;

  constructor(client: FillingClient, filling: Filling) {
    this.#client = client;
    this.#filling = filling;
  }

  /** Those that have no room now for what they took; none while it is no time to look. Throws `noSpace` where waiting does not help. */
  async full(newcomers: readonly NewcomerFilling[]): Promise<ReadonlySet<number>> {
    const isLast = newcomers.every(({ isFilled }) => isFilled);
    if (!isLast && performance.now() - this.#lookedMs < lookMs) return new Set();
    this.#lookedMs = performance.now();
    const asked = newcomers.flatMap(({ address }) => (address === undefined ? [] : [this.#statusOf(address)]));
    const statuses = (await Promise.all(asked)).filter((status) => status !== undefined);
    this.#filling.onLook?.(statuses);
    for (const { nodeId, catchUp } of statuses) if ((catchUp?.bytesReceived ?? 0) > fewBytes) this.#fed.add(nodeId);
    for (const status of statuses) this.#room.assertRoom(status);
    const hadAll = ({ id, isFilled }: NewcomerFilling) => isFilled && !this.#fed.has(id);
    // One that had all data is no fuller for becoming a member again.
    const had = new Set(newcomers.filter(hadAll).map(({ id }) => id));
    const full = statuses.filter((one) => !had.has(one.nodeId) && this.#room.isFull(one, this.#lookedMs));
    return new Set(full.map(({ nodeId }) => nodeId));
  }

  /** Undefined if it does not answer for a moment. */
  async #statusOf(address: string): Promise<NodeStatus | undefined> {
    try {
      const timeoutMs = Math.min(this.#filling.timeoutMs ?? lookTimeoutMsMax, lookTimeoutMsMax);
      return await this.#client.statusOf(address, { timeoutMs });
    } catch (error) {
      if (error instanceof KvError) return undefined;
      throw error;
    }
  }
}

function notFilled(ids: readonly number[], newcomers: readonly NewcomerFilling[], timeoutMs: number): KvError {
  const who = ids.length > 1 ? `nodes ${ids.join(', ')} do` : `node ${ids.join(', ')} does`;
  const away = newcomers.find(({ id, isLinked }) => ids.includes(id) && !isLinked);
  const next = away === undefined ? 'ask again, and it goes on from there' : silentNewcomer(away);
  const problem = `${who} not have all data after ${timeoutMs / 1000} s: nothing was changed; ${next}`;
  return new KvError('timeout', problem, 'notApplied');
}

/** What to say of one that is not reached any more. */
export function silentNewcomer({ id, address }: NewcomerFilling): string {
  return `node ${id}${address === undefined ? '' : ` at ${address}`} is not reached any more: start it again, and it goes on from there`;
}
