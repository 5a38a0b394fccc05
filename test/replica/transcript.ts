import type { NodeId } from '../../src/omnipaxos/ballot.ts';
import type { ReplicaSettings } from '../../src/replica/settings.ts';
import { type Player, runTranscript } from '../omnipaxos/transcript.ts';
import { type Ask, Client, Cluster, type Sent } from './cluster.ts';
import { Demands, type Written } from './demands.ts';
import { answerInWords, counted, entryInWords, messagesInWords, nodeInWords, refusalsInWords } from './words.ts';

/*
 * Transcripts of real replicas: see `../omnipaxos/transcript.ts` for what a transcript is, `transcripts/README.md` for the words.
 */

/** Runs the steps of `text` on replicas and returns it with their traces as they are now. Throws, with the line, what a step throws. */
export function runReplicaTranscript(text: string): string {
  return runTranscript(text, new Scene());
}

/** Checkpoints come often and hardly any log stays below them: who is a little behind needs state. */
const littleLog = { checkpointTicks: 5, logTailEntries: 1 };
/** `write … until trimmed` writes to so many keys in turn. */
const keysWritten = 13;
const writesMax = 500;

/** A request and what became of it. */
interface Asked {
  readonly name: string;
  readonly ask: Ask;
  readonly write: Omit<Written, 'revision'> | undefined;
  isTold: boolean;
}

/** A step that waits for the `count`th message of a kind to arrive. */
interface Planned {
  readonly type: string;
  readonly from: NodeId;
  readonly to: NodeId;
  readonly step: string;
  readonly isRepeated: boolean;
  count: number;
}

/** Plays steps. */
class Scene implements Player {
  #members: readonly NodeId[] = [1, 2, 3];
  #settings: Partial<ReplicaSettings> = {};
  #cluster: Cluster | undefined;
  #client: Client | undefined;
  #clients = 0;
  /** The bytes of each command, for retries. */
  readonly #commands = new Map<string, Uint8Array>();
  readonly #asked: Asked[] = [];
  readonly #written: Written[] = [];
  #planned: Planned[] = [];
  /** True while messages are on their way: what happens now is taken up by those that arrive next. */
  #isMidway = false;
  #lines: string[] = [];
  readonly #told = new Map<NodeId, readonly string[]>();
  #messagesTold = 0;
  #refusalsTold = 0;
  /** What was sent up to the last step that was no demand. */
  #sentBefore = 0;

  play(step: string): void {
    const [verb = ''] = step.split(' ');
    if (verb !== 'must') this.#sentBefore = this.#cluster?.sent.length ?? 0;
    this.#act(step);
  }

  takeTrace(): string[] {
    if (!this.#cluster) return [];
    const { sent, refusals } = this.#cluster;
    const lines = [
      ...messagesInWords(sent.slice(this.#messagesTold)),
      ...refusalsInWords(refusals.slice(this.#refusalsTold)),
      ...counted(this.#lines),
      ...this.#answers(),
    ];
    this.#messagesTold = sent.length;
    this.#refusalsTold = refusals.length;
    this.#lines = [];
    return [...lines.map((line) => `  ${line}`), ...this.#news().map((line) => `      ${line}`)];
  }

  #act(step: string): void {
    const [verb = '', ...words] = step.split(' ');
    const numbers = words.map(Number);
    const [first = 0, second = 0] = numbers;
    switch (verb) {
      case 'nodes':
        return this.#set(words.length > 1 ? numbers : Array.from({ length: first }, (_, at) => at + 1), {});
      case 'little':
        return this.#set(this.#members, littleLog);
      case 'pieces':
        return this.#set(this.#members, { catchUpBytesMax: first });
      case 'syncs':
        return this.#set(this.#members, { syncBytesMax: first, undecidedBytesMax: first - 1 });
      case 'quietly':
        this.#act(words.join(' '));
        this.takeTrace();
        return;
      case 'begin':
        return this.#begin();
      case 'elect':
        this.#scene.elect();
        return;
      case 'session':
        return this.#openSession(first);
      case 'put':
        return this.#write(step, first, 'put', words.slice(1));
      case 'delete':
        return this.#write(step, first, 'delete', words.slice(1));
      case 'retry':
        return this.#retry(step, first, words.slice(1).join(' '));
      case 'get':
        return this.#ask(step, this.#scene.get(first, words[1] ?? ''));
      case 'reconfigure':
        return this.#ask(step, this.#scene.reconfigure(first, numbers.slice(1)));
      case 'write':
        return this.#writeUntilTrimmed(first, Number(words[3]));
      case 'ticks':
        return this.#pass(first);
      case 'timeouts':
        return this.#scene.timeouts(first);
      case 'until':
        return this.#scene.until(words.join(' '), () => this.#shortfall(words) === undefined);
      case 'must':
        return this.#must(words);
      case 'when':
        return this.#plan(words, false);
      case 'whenever':
        return this.#plan(words, true);
      case 'log':
        return this.#tellLog(first);
      case 'cut':
        return this.#cut(words);
      case 'isolate':
        return this.#scene.isolate(first);
      case 'heal':
        return this.#scene.heal();
      case 'crash':
        for (const id of numbers) this.#scene.crash(id);
        return;
      case 'start':
      case 'restart':
        return this.#start(numbers);
      case 'wipe':
        return this.#scene.wipe(first);
      case 'disk':
        return this.#harmDisk(words[0], second);
      case 'timer':
        return this.#setTimer(words[0], second);
      default:
        throw new Error('no such step; transcripts/README.md has the words');
    }
  }

  get #scene(): Cluster {
    if (!this.#cluster) {
      this.#cluster = new Cluster(this.#members, this.#settings);
      this.#cluster.onArrived = (sent) => this.#onArrived(sent);
    }
    return this.#cluster;
  }

  #set(members: readonly NodeId[], settings: Partial<ReplicaSettings>): void {
    if (this.#cluster) throw new Error('comes before all that happens');
    this.#members = members;
    this.#settings = { ...this.#settings, ...settings };
  }

  #begin(): void {
    const leader = this.#scene.elect();
    this.#openSession(leader);
    this.takeTrace();
    this.#lines.push(`${leader} leads, and a client has a session`);
  }

  #openSession(id: NodeId): void {
    this.#clients++;
    this.#client = new Client(this.#scene, id, this.#clients);
  }

  #write(step: string, id: NodeId, kind: 'put' | 'delete', [key = '', value = '']: readonly string[]): void {
    if (!this.#client) throw new Error('no client has a session: `begin` or `session 3` comes first');
    const command = this.#client.command(kind, key, value);
    this.#commands.set(kind === 'put' ? `put ${key} ${value}` : `delete ${key}`, command);
    const write = { key, value: kind === 'put' ? value : undefined };
    this.#ask(step, this.#scene.ask(id, { type: 'write', command }), write);
  }

  #retry(step: string, id: NodeId, name: string): void {
    const command = this.#commands.get(name);
    if (!command) throw new Error(`nobody asked for \`${name}\` before`);
    this.#ask(step, this.#scene.ask(id, { type: 'write', command }));
  }

  #ask(name: string, ask: Ask, write?: Asked['write']): void {
    this.#asked.push({ name, ask, write, isTold: false });
    this.#settle();
  }

  /** Writes through node `id` until the entries that `straggler` lacks are gone from the logs of all others. */
  #writeUntilTrimmed(id: NodeId, straggler: NodeId): void {
    const scene = this.#scene;
    const lacks = scene.replica(straggler).status().decidedIndex;
    const donors = scene.running.filter((donor) => donor !== straggler);
    const isTrimmed = () => donors.every((donor) => scene.log(donor).sequence.trimmedIndex > lacks);
    let count = 0;
    for (; count < keysWritten || !isTrimmed(); count++) {
      if (!this.#client || count > writesMax) throw new Error('the log is not trimmed');
      const [key, value] = [`k${count % keysWritten}`, `v${count}`];
      this.#written.push({ key, value, revision: this.#client.putAcknowledged(id, key, value) });
      scene.tick();
    }
    this.#lines.push(`${count} writes, to k0 … k${keysWritten - 1} in turn, are acknowledged`);
  }

  #pass(ticks: number): void {
    for (let passed = 0; passed < ticks; passed++) {
      this.#scene.beginTick();
      this.#settle();
    }
  }

  #settle(): void {
    if (!this.#isMidway) this.#scene.settle();
  }

  /** `when LogSegment 1 4: isolate 1`, `when 3 LogSegment 1 4: …` (the third), `whenever …`. */
  #plan(words: readonly string[], isRepeated: boolean): void {
    this.#scene;
    const [condition = '', step = ''] = words.join(' ').split(': ');
    const parts = condition.split(' ');
    const count = Number(parts[0]) || 1;
    const [type = '', from, to] = parts.slice(-3);
    this.#planned.push({ type, from: Number(from), to: Number(to), step, isRepeated, count });
  }

  #onArrived({ from, to, message }: Sent): void {
    const { type } = message.payload;
    for (const planned of [...this.#planned]) {
      if (planned.type !== type || planned.from !== from || planned.to !== to) continue;
      planned.count--;
      if (planned.count > 0) continue;
      if (!planned.isRepeated) this.#planned = this.#planned.filter((other) => other !== planned);
      this.#lines.push(`${type} ${from}→${to} comes: ${planned.step}`);
      this.#isMidway = true;
      this.#act(planned.step);
      this.#isMidway = false;
    }
  }

  #cut(words: readonly string[]): void {
    const at = words.indexOf('from');
    this.#scene.cut(words.slice(0, at).map(Number), words.slice(at + 1).map(Number));
  }

  #start(ids: readonly NodeId[]): void {
    for (const id of ids) this.#scene.start(id);
    this.#settle();
  }

  #harmDisk(how: string | undefined, id: NodeId): void {
    if (how === 'stalls') this.#scene.stallDisk(id);
    else if (how === 'fails') this.#scene.failDisk(id);
    else if (how === 'frees') this.#scene.freeDisk(id);
    else throw new Error('a disk `stalls`, `frees` or `fails`');
    this.#settle();
  }

  #setTimer(how: string | undefined, id: NodeId): void {
    if (how === 'stops') this.#scene.stopTimer(id);
    else if (how === 'runs') this.#scene.startTimer(id);
    else throw new Error('a timer `stops` or `runs`');
  }

  #tellLog(id: NodeId): void {
    const { sequence } = this.#scene.log(id);
    const entries = sequence.read(sequence.trimmedIndex, sequence.endIndex).map(entryInWords);
    this.#lines.push(`log of ${id} from ${sequence.trimmedIndex} on: ${entries.join(', ')}`);
  }

  #must(words: readonly string[]): void {
    const [planned] = this.#planned.filter(({ isRepeated }) => !isRepeated);
    if (planned) throw new Error(`no ${planned.type} came: ${planned.step} is still to happen`);
    const shortfall = this.#shortfall(words);
    if (shortfall !== undefined) throw new Error(shortfall);
  }

  #shortfall(words: readonly string[]): string | undefined {
    const { sent } = this.#scene;
    const written = [...this.#written, ...this.#asked.flatMap(writtenBy)];
    const demands = new Demands(this.#scene, sent.slice(this.#sentBefore), written, this.#asked);
    return demands.shortfall(words);
  }

  /** Answers that are new, by request: of many to the same request the count and the last. */
  #answers(): string[] {
    const answers = new Map<string, string[]>();
    for (const asked of this.#asked) {
      const { answer } = asked.ask;
      if (!answer || asked.isTold) continue;
      asked.isTold = true;
      answers.set(asked.name, [...(answers.get(asked.name) ?? []), answerInWords(answer)]);
    }
    return [...answers].map(([name, all]) => {
      const which = all.length > 1 ? `${all.length} answers, the last: ` : '';
      return `\`${name}\` is answered: ${which}${all.at(-1)}`;
    });
  }

  /** What is new of each node; nodes of which the same is new share a line. */
  #news(): string[] {
    const news = new Map<string, NodeId[]>();
    for (const id of this.#scene.nodes) {
      const now = nodeInWords(this.#scene, id);
      const before = this.#told.get(id) ?? [];
      this.#told.set(id, now);
      const line = now.filter((part, at) => part !== before[at] && part !== '').join(', ');
      if (line !== '') news.set(line, [...(news.get(line) ?? []), id]);
    }
    return [...news].map(([line, ids]) => `${ids.join(' ')}: ${line}`);
  }
}

function writtenBy({ ask, write }: Asked): Written[] {
  const { answer } = ask;
  if (!write || answer?.type !== 'outcome' || !('revision' in answer.outcome)) return [];
  return [{ ...write, revision: answer.outcome.revision }];
}
