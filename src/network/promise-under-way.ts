import type { PeerMessage, PeerPayload } from '../wire/peer-message.ts';

type PromisePayload = Extract<PeerPayload, { readonly type: 'Promise' }>;
type Ballot = PromisePayload['ballot'];

/** A Promise that was given to a link, and until when it is not given again. */
interface Given {
  readonly ballot: Ballot;
  untilMs: number;
}

/**
 * The Promise that is under way on one link, with what a new leader lacks of the log. The leader asks for it again and again until it has it,
 * which over a slow link takes a while; and an answer to each of those would queue it as often, behind itself, until so much waits that
 * the link is cut, and all begins anew. A link that stands loses nothing, so it is left out until it has left, and for as long again as that took.
 */
export class PromiseUnderWay {
  #given: Given | undefined;

  /** The messages that are worth sending now: mostly all, and the same array. Times are on the clock of `performance.now()`. */
  worthSending(messages: readonly PeerMessage[], nowMs: number): readonly PeerMessage[] {
    if (!messages.some(carriesLog)) return messages;
    const given = this.#given;
    const skipped = given !== undefined && nowMs < given.untilMs ? [given.ballot] : [];
    return messages.filter((message) => {
      if (!carriesLog(message)) return true;
      const { ballot } = message.payload;
      if (skipped.some((other) => areSame(other, ballot))) return false;
      skipped.push(ballot);
      return true;
    });
  }

  /** Those are given to the link. What is to be called once they have left, if that is of interest. */
  onGiven(messages: readonly PeerMessage[], nowMs: number): (() => void) | undefined {
    const last = messages.findLast(carriesLog);
    if (last === undefined) return undefined;
    const given = { ballot: last.payload.ballot, untilMs: Number.POSITIVE_INFINITY };
    this.#given = given;
    return () => {
      const leftMs = performance.now();
      given.untilMs = leftMs + (leftMs - nowMs);
    };
  }
}

function carriesLog(message: PeerMessage): message is PeerMessage & { readonly payload: PromisePayload } {
  const { payload } = message;
  return payload.type === 'Promise' && payload.suffix !== undefined && payload.suffix.length > 0;
}

function areSame(a: Ballot, b: Ballot): boolean {
  return a.n === b.n && a.priority === b.priority && a.pid === b.pid;
}
