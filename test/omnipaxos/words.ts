import { assertNever } from '../../src/base/assert.ts';
import type { Ballot, Entry } from '../../src/omnipaxos/index.ts';
import { type Message, name } from './cluster.ts';

/** A message in words, for transcripts. Heartbeats too. */
export function inWords(message: Message): string {
  return `${message.from} → ${message.to}  ${payloadInWords(message.payload)}`;
}

/** `2.1`: the second ballot, of node 1. */
export const ballotInWords = ({ n, pid }: Ballot) => `${n}.${pid}`;

const log = (entries: readonly Entry<string>[] | undefined) =>
  entries === undefined ? '(trimmed: catch up)' : `[${entries.map(name).join(' ')}]`;

function payloadInWords(payload: Message['payload']): string {
  const { type } = payload;
  switch (type) {
    case 'Prepare': {
      const { ballot, acceptedIndex, acceptedRound, decidedIndex } = payload;
      return `${type} ${ballotInWords(ballot)}: mine is ${position(acceptedRound, acceptedIndex, decidedIndex)}`;
    }
    case 'Promise': {
      const { ballot, acceptedIndex, acceptedRound, decidedIndex, suffixFrom, suffix } = payload;
      const mine = position(acceptedRound, acceptedIndex, decidedIndex);
      return `${type} ${ballotInWords(ballot)}: mine is ${mine}; you lack from ${suffixFrom}: ${log(suffix)}`;
    }
    case 'AcceptSync': {
      const { ballot, session, syncIndex, suffix, decidedIndex } = payload;
      return `${type} ${ballotInWords(ballot)} session ${session}: from ${syncIndex} on ${log(suffix)}, decided ${decidedIndex}`;
    }
    case 'AcceptDecide': {
      const { ballot, session, counter, startIndex, entries, decidedIndex } = payload;
      return `${type} ${ballotInWords(ballot)} ${session}/${counter}: at ${startIndex} ${log(entries)}, decided ${decidedIndex}`;
    }
    case 'Decide':
      return `${type} ${ballotInWords(payload.ballot)} ${payload.session}/${payload.counter}: decided ${payload.decidedIndex}`;
    case 'Probe':
      return `${type} ${ballotInWords(payload.ballot)}: my last was ${payload.session}/${payload.counter}`;
    case 'Behind':
      return `${type} ${ballotInWords(payload.ballot)}: catch up to ${payload.decidedIndex} first`;
    case 'Accepted':
      return `${type} ${ballotInWords(payload.ballot)}: ${payload.acceptedIndex} on disk, decided ${payload.decidedIndex}`;
    case 'NotAccepted':
      return `${type}: I promised ${ballotInWords(payload.ballot)}`;
    case 'PrepareRequest':
      return `${type}: I promised ${ballotInWords(payload.ballot)}`;
    case 'ForwardProposals':
    case 'ReturnProposals':
      return `${type} ${log(payload.entries)}`;
    case 'ReadIndexRequest':
      return `${type} ${payload.readId}: I follow ${ballotInWords(payload.ballot)}`;
    case 'ConfirmRequest':
      return `${type} round ${payload.round}: do you still follow ${ballotInWords(payload.ballot)}?`;
    case 'Confirm':
      return `${type} round ${payload.round}: I follow ${ballotInWords(payload.ballot)}`;
    case 'ReadIndexReply':
      return `${type} ${payload.readId}: serve it once ${payload.readIndex} are applied`;
    case 'HeartbeatRequest':
      return `${type} ${payload.round}`;
    case 'HeartbeatReply': {
      const mood = payload.happy ? 'happy' : 'unhappy';
      return `${type} ${payload.round}: I own ${ballotInWords(payload.ballot)}, follow ${ballotInWords(payload.leader)}, ${mood}`;
    }
    default:
      return assertNever(payload, 'message');
  }
}

const position = (round: Ballot, accepted: number, decided: number) =>
  `round ${ballotInWords(round)}, ${accepted} accepted, ${decided} decided`;
