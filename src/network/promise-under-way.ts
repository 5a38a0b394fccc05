import type { PeerMessage, PeerPayload } from '../wire/peer-message.ts';

type PromiseMessage = PeerMessage & { readonly payload: Extract<PeerPayload, { readonly type: 'Promise' }> };

/** A Promise that was given to a link, and until when it is not given again. */
interface Given {
  readonly message: PromiseMessage;
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
    const seen = given !== undefined && nowMs < given.untilMs ? [given.message] : [];
    return messages.filter((message) => {
      if (!carriesLog(message)) return true;
      if (seen.some((other) => sayTheSame(other, message))) return false;
      seen.push(message);
      return true;
    });
  }

  /** Those are given to the link. What is to be called once they have left, if that is of interest. */
  onGiven(messages: readonly PeerMessage[], nowMs: number): (() => void) | undefined {
    const message = messages.findLast(carriesLog);
    if (message === undefined) return undefined;
    const given = { message: withoutLog(message), untilMs: Number.POSITIVE_INFINITY };
    this.#given = given;
    return () => {
      const leftMs = performance.now();
      given.untilMs = leftMs + (leftMs - nowMs);
    };
  }
}

function carriesLog(message: PeerMessage): message is PromiseMessage {
  const { payload } = message;
  return payload.type === 'Promise' && payload.suffix !== undefined && payload.suffix.length > 0;
}

/** The log itself may be large, and goes with its frame. */
function withoutLog({ configurationId, payload }: PromiseMessage): PromiseMessage {
  return { configurationId, payload: { ...payload, suffix: undefined } };
}

/** Ballots begin anew in each configuration; and a leader that has caught up asks for less of the log. */
function sayTheSame(a: PromiseMessage, b: PromiseMessage): boolean {
  const [one, other] = [a.payload, b.payload];
  const isOneBallot =
    a.configurationId === b.configurationId &&
    one.ballot.n === other.ballot.n &&
    one.ballot.priority === other.ballot.priority &&
    one.ballot.pid === other.ballot.pid;
  return isOneBallot && one.suffixFrom === other.suffixFrom && one.acceptedIndex === other.acceptedIndex;
}
