import { toByteString } from '../../src/base/bytes.ts';
import type { NodeId } from '../../src/omnipaxos/ballot.ts';
import { ballotInWords } from '../omnipaxos/words.ts';
import type { Ask, Cluster, Sent } from './cluster.ts';
import { answerInWords } from './words.ts';

/** A write that was acknowledged; the value is undefined if it was a delete. */
export interface Written {
  readonly key: string;
  readonly value: string | undefined;
  /** One more than its log index. */
  readonly revision: number;
}

/** True if a node is as demanded with the words that follow the verb. */
type Check = (id: NodeId, rest: string, ids: readonly NodeId[]) => boolean;

/** What a transcript may demand with `must`, and wait for with `until`. */
export class Demands {
  readonly #cluster: Cluster;
  readonly #sent: readonly Sent[];
  readonly #written: readonly Written[];
  readonly #asked: readonly { readonly name: string; readonly ask: Ask }[];

  /** `sent` is what the last step made leave, `written` what was acknowledged so far, `asked` all requests. */
  constructor(
    cluster: Cluster,
    sent: readonly Sent[],
    written: readonly Written[],
    asked: readonly { readonly name: string; readonly ask: Ask }[],
  ) {
    this.#cluster = cluster;
    this.#sent = sent;
    this.#written = written;
    this.#asked = asked;
  }

  /** `1 2 follow 3.3`, `1 not lead`, `answer get 1 k: v`, `not answer get 1 k`: undefined if it is so, else what is wrong. */
  shortfall(words: readonly string[]): string | undefined {
    const split = words.findIndex((word) => Number.isNaN(Number(word)));
    const ids = words.slice(0, split).map(Number);
    const isNegated = words[split] === 'not';
    const [verb = '', ...rest] = words.slice(isNegated ? split + 1 : split);
    if (verb === 'answer') return this.#answerShortfall(rest.join(' '), isNegated);
    const check = this.#checks[verb] ?? this.#checks[[verb, ...rest].join(' ')];
    if (!check || ids.length === 0) throw new Error(`no such demand: ${words.join(' ')}`);
    const wrong = ids.filter((id) => check(id, rest.join(' '), ids) === isNegated);
    return wrong.length > 0 ? `of node ${wrong.join(' ')} this is not so` : undefined;
  }

  readonly #checks: Readonly<Record<string, Check>> = {
    run: (id) => this.#cluster.isRunning(id),
    lead: (id) => this.#cluster.leaders.includes(id),
    follow: (id, ballot) => this.#ballotOf(id) === ballot,
    vote: (id, configuration) => this.#configurationVotedIn(id) === configuration.replace(/^in /, ''),
    'stand by': (id) => this.#cluster.replica(id).status().state === 'standby',
    know: (id, members) => this.#membersOf(id) === members.replace(/^members /, ''),
    have: (id, pair) => this.#value(id, pair) === pair.split(' ')[1],
    lack: (id, key) => this.#value(id, key) === undefined,
    agree: (id, _, ids) => this.#agrees(id, ids[0] as NodeId),
    'outrun its log': (id) => this.#cluster.disk(id).state.appliedIndex > this.#cluster.disk(id).log.sequence.endIndex,
    'match its index': (id) => this.#matchesItsIndex(id),
    'cover what is trimmed': (id) =>
      this.#cluster.disk(id).log.sequence.trimmedIndex <= this.#cluster.disk(id).state.appliedIndex,
    send: (id, types) => this.#types(({ from }) => from === id).some((type) => types.split(' ').includes(type)),
    receive: (id, types) => this.#types(({ to }) => to === id).some((type) => types.split(' ').includes(type)),
  };

  #answerShortfall(demand: string, isNegated: boolean): string | undefined {
    const [name = '', expected] = demand.split(': ');
    const asked = this.#asked.findLast((one) => one.name === name);
    if (!asked) throw new Error(`nobody asked \`${name}\``);
    const answer = asked.ask.answer && answerInWords(asked.ask.answer);
    const isSo = answer !== undefined && (expected === undefined || answer === expected);
    return isSo === isNegated ? `it is answered: ${answer ?? 'not yet'}` : undefined;
  }

  #ballotOf(id: NodeId): string | undefined {
    const ballot = this.#cluster.replica(id).voter?.leader;
    return ballot && ballotInWords(ballot);
  }

  #configurationVotedIn(id: NodeId): string {
    return String(this.#cluster.replica(id).voter?.configurationId ?? '');
  }

  #membersOf(id: NodeId): string {
    const { members } = this.#cluster.replica(id).status();
    return members.map((member) => member.id).join(' ');
  }

  /** What the state of the node has under the first word of `pair`. */
  #value(id: NodeId, pair: string): string | undefined {
    const record = this.#cluster.state(id).get(pair.split(' ')[0] ?? '');
    return record && toByteString(record.value);
  }

  #agrees(id: NodeId, other: NodeId): boolean {
    const [a, b] = [this.#cluster.replica(id), this.#cluster.replica(other)];
    const ends = [a.appliedIndex, a.status().decidedIndex, b.appliedIndex, b.status().decidedIndex];
    return Math.min(...ends) === Math.max(...ends) && a.stateHash() === b.stateHash();
  }

  /** True if the state on the node's disk is what the writes below its index made, no more and no less. */
  #matchesItsIndex(id: NodeId): boolean {
    const { table, appliedIndex } = this.#cluster.disk(id).state;
    const expected = new Map<string, string>();
    for (const { key, value, revision } of this.#written.toSorted((a, b) => a.revision - b.revision)) {
      if (revision > appliedIndex) break;
      if (value === undefined) expected.delete(key);
      else expected.set(key, value);
    }
    const actual = new Map([...table.pairsAfter(undefined)].map(({ key, value }) => [key, toByteString(value)]));
    return actual.size === expected.size && [...expected].every(([key, value]) => actual.get(key) === value);
  }

  #types(isMeant: (sent: Sent) => boolean): string[] {
    return this.#sent.filter(isMeant).map(({ message }) => message.payload.type);
  }
}
