import { bottomBallot, type NodeId } from '../../src/omnipaxos/index.ts';
import { CrashStore } from '../simulation/crash-store.ts';
import { Cluster, type ClusterOptions, type Fate, type Message, name, type TestNode } from './cluster.ts';
import { ballotInWords, inWords } from './words.ts';

/*
 * A transcript is a scenario in words. Lines that begin at the margin are steps, or comments (#); what is indented below a step is
 * what came of it, and is written by the machine. `transcripts/README.md` has the words.
 */

/** What plays steps, each a line, and tells what came of them. */
export interface Player {
  play(step: string): void;
  /** What came of the steps since the last call, indented lines. */
  takeTrace(): string[];
}

/** Runs the steps of `text` and returns it with their traces as they are now. Throws, with the line, what a step throws. */
export function runTranscript(text: string, scene: Player = new Scene()): string {
  const output: string[] = [];
  for (const [at, line] of text.split('\n').entries()) {
    if (line.startsWith(' ')) continue;
    output.push(line);
    if (line === '' || line.startsWith('#')) continue;
    try {
      scene.play(line);
    } catch (error) {
      throw new Error(`line ${at + 1}, \`${line}\`: ${String(error)}\n${scene.takeTrace().join('\n')}`, {
        cause: error,
      });
    }
    output.push(...scene.takeTrace());
  }
  return output.join('\n');
}

/** A cluster that tells what happens. */
class TellingCluster extends Cluster {
  readonly #told = new Map<NodeId, readonly string[]>();
  /** How many messages of each type each node has sent. */
  readonly #sent = new Map<string, number>();
  #lines: string[] = [];

  override send(message: Message): void {
    const before = this.trace.length;
    super.send(message);
    const sent = `${message.from} ${message.payload.type}`;
    this.#sent.set(sent, (this.#sent.get(sent) ?? 0) + 1);
    const [fate] = this.trace.slice(before)[0]?.split(':') ?? [];
    if (fate !== undefined && !isHeartbeat(message)) {
      const cut = this.isCut(message.from, message.to);
      this.#lines.push(`  ${inWords(message)}  — ${cut ? 'cut' : fates[fate as Fate]}`);
    }
  }

  override deliver(message: Message): void {
    const lost = !this.node(message.to).isUp || this.isCut(message.from, message.to);
    if (!isHeartbeat(message)) this.#lines.push(`  ${inWords(message)}${lost ? '  — lost' : ''}`);
    super.deliver(message);
    this.tell(this.node(message.to));
  }

  override turn(node: TestNode): void {
    super.turn(node);
    this.tell(node);
  }

  override install(node: TestNode, donor: TestNode): void {
    this.#lines.push(`  ${node.pid} catches up from ${donor.pid}`);
    super.install(node, donor);
    this.tell(node);
  }

  /** Says all there is of a node. */
  show(node: TestNode): void {
    const parts = stateOf(node).filter((part) => part !== '');
    this.#lines.push(`      ${node.pid}: ${node.isUp ? parts.join(', ') : 'down'}`);
  }

  say(line: string): void {
    this.#lines.push(`  ${line}`);
  }

  /** Says what is new of a node. */
  tell(node: TestNode): void {
    if (!node.isUp) return;
    const now = stateOf(node);
    const before = this.#told.get(node.pid) ?? [];
    const news = now.filter((part, at) => part !== before[at] && part !== '');
    this.#told.set(node.pid, now);
    if (news.length > 0 && before.length > 0) this.#lines.push(`      ${node.pid}: ${news.join(', ')}`);
  }

  /** How many messages of `type` node `pid` has sent so far. */
  sentBy(pid: NodeId, type: string): number {
    return this.#sent.get(`${pid} ${type}`) ?? 0;
  }

  takeLines(): string[] {
    const taken = this.#lines;
    this.#lines = [];
    return taken;
  }
}

const fates: Readonly<Record<Fate, string>> = {
  deliver: '',
  drop: 'lost',
  duplicate: 'twice',
  hold: 'held back',
  swap: 'sender and receiver swapped',
};

/** What is to happen to a message, by the step that says so. */
const plannedFates: Readonly<Record<string, Fate>> = { lose: 'drop', double: 'duplicate', hold: 'hold', swap: 'swap' };

const isHeartbeat = ({ payload }: Message) => payload.type.startsWith('Heartbeat');

/** What there is to know of a node, part by part. */
function stateOf({ paxos, election, returned, ready }: TestNode): string[] {
  const entries = paxos.readEntries(paxos.trimmedIndex, paxos.acceptedIndex).map(name);
  const decided = entries.slice(0, paxos.decidedIndex - paxos.trimmedIndex);
  const undecided = entries.slice(decided.length);
  const trimmed = paxos.trimmedIndex > 0 ? `(${paxos.trimmedIndex} trimmed) ` : '';
  return [
    paxos.isLeader ? `leads ${ballotInWords(paxos.promise)} in its ${paxos.phase} phase` : `follows (${paxos.phase})`,
    `promised ${ballotInWords(paxos.promise)}`,
    `log ${trimmed}${[...decided, '|', ...undecided].join(' ')}`,
    `accepted in round ${ballotInWords(paxos.acceptedRound)}`,
    returned.length > 0 ? `has back ${returned.map(name).join(' ')}` : '',
    ready.size > 0 ? `may serve ${[...ready].map(([id, index]) => `read ${id} at ${index}`).join(', ')}` : '',
    `its election follows ${ballotInWords(election.leader)}${election.isHappy ? ', happy' : ''}`,
  ];
}

/** The store of a node for the configuration that starts at `startIndex`. */
function handedOver(before: CrashStore<string> | undefined, startIndex: number): CrashStore<string> {
  const store = before ?? new CrashStore<string>();
  if (!before) store.sequence.reset(startIndex);
  const decidedIndex = Math.max(store.state.decidedIndex, before ? 0 : startIndex);
  Object.assign(store.state, { promise: bottomBallot, acceptedRound: bottomBallot, decidedIndex });
  store.commit();
  store.flush();
  return store;
}

/** What is to happen to the next message of a kind. */
interface Planned {
  readonly fate: Fate;
  readonly type: string;
  readonly from: NodeId;
  readonly to: NodeId;
}

/** Plays steps. */
class Scene implements Player {
  #options: ClusterOptions = { nodes: 3 };
  #cluster: TellingCluster | undefined;
  #planned: Planned[] = [];

  takeTrace(): string[] {
    return this.#cluster?.takeLines() ?? [];
  }

  play(step: string): void {
    const [verb = '', ...words] = step.split(' ');
    const numbers = words.map(Number);
    const [first = 0, second = 0] = numbers;
    switch (verb) {
      case 'nodes':
        return this.#set({ nodes: words.length === 1 ? first : numbers });
      case 'quorum':
        return this.#set({ quorum: { prepare: first, accept: second } });
      case 'disks':
        return this.#setDisks(words.join(' ') !== 'wait');
      case 'limit':
        return this.#set({ replica: { undecidedSizeMax: first, syncSizeMax: second } });
      case 'quietly':
        this.play(words.join(' '));
        this.#scene.takeLines();
        return;
      case 'begin':
        this.#lead(first, this.#nextRound());
        this.#scene.settle();
        this.#scene.takeLines();
        return;
      case 'show':
        for (const node of this.#scene.nodes.values()) this.#scene.show(node);
        return;
      case 'handover':
        return this.#handOver(first);
      case 'lead':
        return this.#lead(first, words.length > 1 ? second : this.#nextRound());
      case 'takeover':
        return this.#takeOver(this.#scene.node(first));
      case 'propose':
        return this.#propose(first, words.slice(1));
      case 'reconfigure':
        return this.#answer(this.#scene.paxos(first).proposeReconfiguration(numbers.slice(1)));
      case 'read':
        return this.#scene.say(`read ${this.#scene.paxos(first).requestRead()} begins`);
      case 'deliver':
        return this.#scene.settle();
      case 'lose':
      case 'double':
      case 'hold':
      case 'swap':
        return this.#plan(plannedFates[verb] as Fate, words);
      case 'release':
        return this.#release();
      case 'cut':
        return this.#scene.cut(first, ...numbers.slice(1));
      case 'heal':
        return words.length === 0 ? this.#scene.healAll() : this.#scene.heal(first, second, words[2] === 'silently');
      case 'crash':
        return this.#scene.crash(first);
      case 'restart':
        return this.#restart(first, words[1] === 'silently');
      case 'resend':
        return this.#scene.resend(2);
      case 'timeouts':
        return this.#scene.timeouts(first);
      case 'flush':
        return flush(this.#scene.node(first), second || Number.POSITIVE_INFINITY);
      case 'trim':
        return this.#trim(first, second);
      case 'install':
        return this.#install(this.#scene.node(first), second);
      case 'must':
        return this.#must(words);
      default:
        throw new Error(`no such step; transcripts/README.md has the words`);
    }
  }

  get #scene(): TellingCluster {
    if (!this.#cluster) {
      this.#cluster = new TellingCluster(this.#options);
      this.#cluster.fate = (message) => this.#fate(message);
      for (const node of this.#cluster.nodes.values()) this.#cluster.tell(node);
    }
    return this.#cluster;
  }

  #set(options: ClusterOptions): void {
    if (this.#cluster) throw new Error('comes before all that happens');
    this.#options = { ...this.#options, ...options };
  }

  #setDisks(flushes: boolean): void {
    if (this.#cluster) this.#cluster.flushes = flushes;
    else this.#set({ flushes });
  }

  /**
   * What the owner of the core does once the StopSign is decided, as node `pid` knows it: those that go on make a fresh instance on the
   * same log, with promise and accepted round at the bottom; a new member has the state of all before.
   */
  #handOver(pid: NodeId): void {
    const before = this.#scene;
    const stopSign = before.paxos(pid).isReconfigured();
    if (!stopSign) throw new Error(`node ${pid} has decided no StopSign`);
    const startIndex = before.paxos(pid).decidedIndex;
    const stores = new Map<NodeId, CrashStore<string>>();
    for (const id of stopSign.nodes) stores.set(id, handedOver(before.nodes.get(id)?.store, startIndex));
    this.#cluster = undefined;
    const { configId: configurationId, nodes } = stopSign;
    this.#options = { ...this.#options, nodes, configurationId, stores, replica: { startIndex } };
    this.#scene.decided.push(...before.decided);
    for (const node of this.#scene.nodes.values()) this.#scene.show(node);
  }

  #nextRound(): number {
    return Math.max(...[...this.#scene.nodes.values()].map(({ paxos }) => paxos.promise.n)) + 1;
  }

  #lead(pid: NodeId, n: number): void {
    const scene = this.#scene;
    scene.paxos(pid).handleLeader({ n, priority: 0, pid });
    scene.tell(scene.node(pid));
  }

  /** The node's own election is asked for a ballot to lead with. */
  #takeOver(node: TestNode): void {
    const leader = node.election.takeOver();
    if (leader) node.paxos.handleLeader(leader);
    this.#scene.tell(node);
  }

  #propose(pid: NodeId, entries: readonly string[]): void {
    for (const entry of entries) this.#answer(this.#scene.propose(pid, entry));
  }

  #answer(result: ReturnType<Cluster['propose']>): void {
    if (!result.ok) this.#scene.say(`refused: ${result.reason}`);
  }

  #plan(fate: Fate, [type = '', from, to]: readonly string[]): void {
    this.#scene;
    this.#planned.push({ fate, type, from: Number(from), to: Number(to) });
  }

  /** A plan is for one message. */
  #fate(message: Message): Fate {
    const at = this.#planned.findIndex(
      ({ type, from, to }) => type === message.payload.type && from === message.from && to === message.to,
    );
    return at < 0 ? 'deliver' : (this.#planned.splice(at, 1)[0] as Planned).fate;
  }

  #release(): void {
    this.#scene.release();
    this.#scene.settle();
  }

  #restart(pid: NodeId, silently: boolean): void {
    this.#scene.restart(pid, silently);
    this.#scene.tell(this.#scene.node(pid));
  }

  #trim(pid: NodeId, index: number): void {
    try {
      this.#scene.paxos(pid).trim(index);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      this.#scene.say(`refused: ${error.message}`);
    }
    this.#scene.tell(this.#scene.node(pid));
  }

  #install(node: TestNode, index: number): void {
    node.paxos.installState(index);
    this.#scene.tell(node);
  }

  /** `must 1 2 decide a b`; the demands are in `transcripts/README.md`. */
  #must(words: readonly string[]): void {
    if (this.#planned.length > 0)
      throw new Error(`no ${this.#planned[0]?.type} came that could be lost, doubled, held or swapped`);
    const split = words.findIndex((word) => Number.isNaN(Number(word)));
    const [verb, ...rest] = words.slice(split);
    for (const pid of words.slice(0, split).map(Number)) this.#mustOne(pid, verb, rest);
  }

  #mustOne(pid: NodeId, verb: string | undefined, rest: readonly string[]): void {
    const demand = demands[verb ?? ''];
    if (!demand) throw new Error(`no such demand: ${verb}`);
    const actual = demand(this.#scene, this.#scene.node(pid), rest);
    if (actual !== rest.join(' ')) throw new Error(`node ${pid}: ${verb} ${rest.join(' ')} was due, it is: ${actual}`);
  }
}

/** What a demand asks of a node, as it is: the words that would meet it. */
type Demand = (scene: TellingCluster, node: TestNode, words: readonly string[]) => string;

const demands: Readonly<Record<string, Demand>> = {
  decide: (scene, { pid }) => scene.decidedOf(pid).join(' '),
  keep: (_, { paxos }) => paxos.readEntries(paxos.trimmedIndex, paxos.acceptedIndex).map(name).join(' '),
  lead: (_, { paxos }) => (paxos.isLeader ? '' : 'it follows'),
  follow: (_, { paxos }) => (paxos.isLeader ? 'it leads' : ''),
  regain: (_, { returned }) => returned.map(name).join(' '),
  send: (scene, { pid }, [, type = '']) => `${scene.sentBy(pid, type)} ${type}`,
  serve: (_, { ready }) => (ready.size > 0 ? `at ${[...ready.values()].join(' ')}` : 'nothing'),
};

/** The disk of a node makes `writes` more transitions durable. */
function flush({ store }: TestNode, writes: number): void {
  store.flush(Math.min(store.durableWrite() + writes, store.lastWrite));
}
