import { ByteReader, ByteWriter, DecodeError } from '../base/bytes.ts';
import { RecentMap } from '../base/recent-map.ts';
import type { ClientOutcome } from './outcome.ts';

/** How far a session's numbers may run ahead of what its client has acknowledged: bounds the outcomes kept. */
export const sessionWindowMax = 4096;

/** The outcomes that a session keeps: those of commands that were run, be it that there was no space for them, or that their condition did not hold. */
export type KeptOutcome =
  | Extract<ClientOutcome, { type: 'put' | 'deleted' | 'conflict' | 'renewed' | 'transacted' | 'unmet' }>
  | KeptRefusal;

type KeptRefusal = { readonly type: 'refused'; readonly reason: 'noSpace' | 'tooManyExpiring' };

export const noSpace: KeptRefusal = { type: 'refused', reason: 'noSpace' };
export const tooManyExpiring: KeptRefusal = { type: 'refused', reason: 'tooManyExpiring' };

const outcomeCodes = {
  put: 0,
  deletedNothing: 1,
  deleted: 2,
  noSpace: 3,
  conflict: 4,
  renewed: 5,
  tooManyExpiring: 6,
  transacted: 7,
  /** The condition's number follows the revision. */
  unmet: 8,
} as const;

/** Refused, since the answer may have been thrown away: the client has said that it has it. */
const numberForgotten: ClientOutcome = { type: 'refused', reason: 'numberForgotten' };
/** Refused, since a session has room for so many answers only. */
const windowExceeded: ClientOutcome = { type: 'refused', reason: 'windowExceeded' };

/**
 * One client's commands and their outcomes, as every replica has them: a command that comes again is answered with the
 * first outcome and not applied again.
 */
export class ClientSession {
  readonly id: number;
  /** Log index of the last command of this session: the order in which sessions are dropped. */
  lastUsedIndex: number;
  #acknowledgedBelow = 0;
  readonly #outcomes = new RecentMap<KeptOutcome>();

  constructor(id: number, lastUsedIndex: number) {
    this.id = id;
    this.lastUsedIndex = lastUsedIndex;
  }

  /** The outcome kept for a number, if any. */
  outcomeOf(number: number): ClientOutcome | undefined {
    return this.#outcomes.get(number);
  }

  /**
   * Takes note of what the client acknowledges and decides about a command.
   * Gives the answer if the command must not be applied; `undefined`: apply it, then {@link record} the outcome.
   */
  admit(number: number, acknowledgedBelow: number): ClientOutcome | undefined {
    if (acknowledgedBelow > this.#acknowledgedBelow) this.#forgetBelow(acknowledgedBelow);
    if (number < this.#acknowledgedBelow) return numberForgotten;
    if (number >= this.#acknowledgedBelow + sessionWindowMax) return windowExceeded;
    return this.#outcomes.get(number);
  }

  /** Keeps the outcome of a command that was admitted and applied. */
  record(number: number, outcome: KeptOutcome): void {
    this.#outcomes.set(number, outcome);
  }

  /** The same bytes on every replica at the same applied index, whatever way the session came there. */
  encode(): Uint8Array {
    const numbers = this.#outcomes.keys();
    const writer = new ByteWriter(32 + numbers.length * 8);
    writer.varuint(this.lastUsedIndex).varuint(this.#acknowledgedBelow).varuint(numbers.length);
    for (const number of numbers) {
      const outcome = this.#outcomes.get(number) as KeptOutcome;
      writer
        .varuint(number - this.#acknowledgedBelow)
        .u8(codeOf(outcome))
        .varuint(outcome.type === 'refused' ? 0 : outcome.revision);
      if (outcome.type === 'unmet') writer.varuint(outcome.condition);
    }
    return writer.finish();
  }

  /** Reads what {@link encode} wrote. Throws {@link DecodeError}. */
  static decode(id: number, bytes: Uint8Array): ClientSession {
    const reader = new ByteReader(bytes);
    const session = new ClientSession(id, reader.varuint());
    session.#acknowledgedBelow = reader.varuint();
    for (let left = reader.count(sessionWindowMax); left > 0; left--) {
      const number = session.#acknowledgedBelow + reader.varuint();
      session.#outcomes.set(number, decodeOutcome(reader));
    }
    reader.end();
    return session;
  }

  #forgetBelow(number: number): void {
    // A client may jump by any distance: walk whichever is shorter, the numbers or the outcomes.
    if (number - this.#acknowledgedBelow <= this.#outcomes.size) {
      for (let at = this.#acknowledgedBelow; at < number; at++) this.#outcomes.delete(at);
    } else {
      for (const at of this.#outcomes.keys()) if (at < number) this.#outcomes.delete(at);
    }
    this.#acknowledgedBelow = number;
  }
}

function codeOf(outcome: KeptOutcome): number {
  if (outcome.type === 'refused') return outcomeCodes[outcome.reason];
  if (outcome.type !== 'deleted') return outcomeCodes[outcome.type];
  return outcome.existed ? outcomeCodes.deleted : outcomeCodes.deletedNothing;
}

function decodeOutcome(reader: ByteReader): KeptOutcome {
  const code = reader.u8();
  const revision = reader.varuint();
  switch (code) {
    case outcomeCodes.put:
      return { type: 'put', revision };
    case outcomeCodes.deletedNothing:
      return { type: 'deleted', revision, existed: false };
    case outcomeCodes.deleted:
      return { type: 'deleted', revision, existed: true };
    case outcomeCodes.noSpace:
      return noSpace;
    case outcomeCodes.conflict:
      return { type: 'conflict', revision };
    case outcomeCodes.renewed:
      return { type: 'renewed', revision };
    case outcomeCodes.tooManyExpiring:
      return tooManyExpiring;
    case outcomeCodes.transacted:
      return { type: 'transacted', revision };
    case outcomeCodes.unmet:
      return { type: 'unmet', condition: reader.varuint(), revision };
    default:
      throw new DecodeError(`unknown outcome ${code} in a session`);
  }
}
