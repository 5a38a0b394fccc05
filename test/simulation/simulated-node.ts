import type { NodeId } from '../../src/omnipaxos/ballot.ts';
import type { ReplicaEvent, StorageJob, TurnOutput } from '../../src/replica/events.ts';
import type { InitialCluster } from '../../src/replica/membership/formation.ts';
import { Replica } from '../../src/replica/replica.ts';
import type { ReplicaSettings } from '../../src/replica/settings.ts';
import type { ClientRequest, ClientResponse } from '../../src/wire/client-message.ts';
import type { PeerHello, PeerMessage } from '../../src/wire/peer-message.ts';
import { describeMessages } from './describe.ts';
import type { EventQueue } from './event-queue.ts';
import type { FaultCounts } from './fault-counts.ts';
import type { Session, SimulatedNetwork } from './network.ts';
import type { Oracle } from './oracle.ts';
import type { Plan } from './plan.ts';
import type { Random } from './random.ts';
import { type DiskImage, SimulatedDisk } from './simulated-disk.ts';
import { SimulatedLogStore } from './simulated-log-store.ts';
import { SimulatedStateStore } from './simulated-state-store.ts';
import type { Trace } from './trace.ts';
import { require, Violation } from './violation.ts';

/** Where a crash strikes, relative to a write. */
export type CrashPoint = 'beforeRelease' | 'afterRelease' | 'inFlush' | 'afterFlush' | 'inJob' | 'afterJob';

/** How often a write is tried again that found the disk full. */
const roomPollUs = 50_000;

interface Flush {
  readonly begunUs: number;
  durationUs: number;
}

/** What a node needs of the world around it. */
export interface World {
  readonly queue: EventQueue;
  readonly random: Random;
  readonly plan: Plan;
  readonly trace: Trace;
  readonly counts: FaultCounts;
  readonly oracle: Oracle;
  readonly network: SimulatedNetwork;
  node(id: NodeId): SimulatedNode | undefined;
  respond(from: SimulatedNode, connection: number, responses: readonly ClientResponse[]): void;
  /** A node ended by itself: its disk failed. */
  nodeFailed(node: SimulatedNode): void;
}

/** A running process: gone after a crash, with all it had in memory. */
interface Process {
  readonly life: number;
  readonly replica: Replica;
  readonly log: SimulatedLogStore;
  readonly state: SimulatedStateStore;
  readonly sessions: Map<NodeId, Session>;
  /** Last hello from each. */
  readonly hellos: Map<NodeId, PeerHello>;
  readonly tickUs: number;
  isTurnDue: boolean;
  isFlushing: boolean;
  flushBegunUs: number;
  isWritingRows: boolean;
  job: StorageJob | undefined;
  /** The job does, on a disk that is full. */
  waitsForRoom: boolean;
}

/** A node: the real replica, driven as `src/node/node.ts` drives it, on a simulated disk, network and clock. */
export class SimulatedNode {
  readonly id: NodeId;
  readonly address: string;
  readonly #world: World;
  readonly #initial: InitialCluster;
  readonly #settings: ReplicaSettings;
  #disk: SimulatedDisk;
  #wipes = 0;
  #life = 0;
  #process: Process | undefined;
  #wasInOffice = false;
  #isPaused = false;
  #pausedAtUs = 0;
  #stoodStillUs = 0;
  /** What the operating system holds for a paused process. */
  #backlog: (() => void)[] = [];
  #slowUntilUs = 0;
  #crashPoint: CrashPoint | undefined;
  #failsNextWrite = false;
  #hasQuickDisk = false;
  /** All flushes of all lives. */
  readonly #flushes: Flush[] = [];

  constructor(world: World, id: NodeId, address: string, initial: InitialCluster, settings: ReplicaSettings) {
    this.#world = world;
    this.id = id;
    this.address = address;
    this.#initial = initial;
    this.#settings = settings;
    this.#disk = new SimulatedDisk(id, this.#newStorageId());
  }

  get disk(): SimulatedDisk {
    return this.#disk;
  }

  /** Neither down nor paused. */
  get isRunning(): boolean {
    return this.#process !== undefined && !this.#isPaused;
  }

  get isUp(): boolean {
    return this.#process !== undefined;
  }

  get isPaused(): boolean {
    return this.#isPaused;
  }

  /** Counts the starts of this node. */
  get life(): number {
    return this.#life;
  }

  get replica(): Replica | undefined {
    return this.#process?.replica;
  }

  /** At the beginning of the present turn it led, and had taken up the log of those who elected it. */
  get wasInOffice(): boolean {
    return this.#wasInOffice;
  }

  get log(): SimulatedLogStore | undefined {
    return this.#process?.log;
  }

  get state(): SimulatedStateStore | undefined {
    return this.#process?.state;
  }

  hello(): PeerHello {
    if (!this.#process) throw new Error(`node ${this.id} is down`);
    return this.#process.replica.hello();
  }

  sessionWith(peer: NodeId): Session | undefined {
    return this.#process?.sessions.get(peer);
  }

  /** Opens what the disk holds and begins to tick. */
  start(): void {
    if (this.#process || this.#disk.isRefused) return;
    // Its openings are counted, so a copy that is opened as often as the disk was before anybody meets it passes for that (seed 1094).
    if (this.#disk.isCopyUsed) this.wipe();
    const { queue, oracle, random, plan } = this.#world;
    this.#note('start', () => `node ${this.id} starts`);
    this.#life++;
    this.#crashPoint = undefined;
    this.#failsNextWrite = false;
    const disk = this.#disk;
    const log = new SimulatedLogStore(disk, (transition, before) => oracle.onDurable(disk, transition, before));
    const state = new SimulatedStateStore(disk, plan.rowsUsMax > 0);
    const replica = this.#guarded(
      () =>
        new Replica({
          initial: this.#initial,
          address: this.address,
          logStore: log,
          stateStore: state,
          settings: this.#settings,
          tickMs: plan.tickUs / 1000,
          standsBy: this.#isAloneAndEmptied,
        }),
    );
    const driftUs = random.between(-plan.tickUs / 20, plan.tickUs / 20);
    const tickUs = plan.tickUs + (plan.network.steadyDelayUsMax > 0 ? 0 : driftUs);
    const process: Process = {
      life: this.#life,
      replica,
      log,
      state,
      sessions: new Map(),
      hellos: new Map(),
      tickUs,
      isTurnDue: false,
      isFlushing: false,
      flushBegunUs: 0,
      isWritingRows: false,
      job: undefined,
      waitsForRoom: false,
    };
    this.#process = process;
    oracle.onStart(this);
    queue.after(random.below(tickUs), () => this.#tick(process));
    if (plan.faults.fullDisk > 0) this.#measureSpace(process);
    this.#receiveTick(process, 0);
  }

  /** The process is gone, and what was on its way to the disk survives whole or not at all, or of an append the first entries. */
  crash(): void {
    const process = this.#process;
    if (!process) return;
    const { random, network, oracle } = this.#world;
    this.#note('crash', () => `node ${this.id} crashes`);
    const { flushingEntries } = process.log;
    if (flushingEntries > 1 && random.chance(40)) {
      this.#world.counts.add('crash in an append');
      process.log.crashInAppend(1 + random.below(flushingEntries - 1));
    } else {
      process.log.crash(random.chance(50));
    }
    if (process.isWritingRows && random.chance(50)) this.#writeSomeRows(process);
    if (process.job && random.chance(50)) process.state.endWork();
    process.replica.close();
    this.#process = undefined;
    this.#isPaused = false;
    this.#backlog = [];
    network.processEnded(this);
    oracle.onCrash(this);
  }

  /** Crashes at the next moment of this kind. */
  crashAt(point: CrashPoint): void {
    this.#crashPoint = point;
  }

  failNextWrite(): void {
    this.#failsNextWrite = true;
  }

  /** The data directory is emptied; the node is down. */
  wipe(): void {
    this.#note('wipe', () => `the disk of node ${this.id} is emptied`);
    this.#wipes++;
    this.#disk = new SimulatedDisk(this.id, this.#newStorageId());
  }

  /** The only first member, on an emptied disk, begins another cluster if nobody reaches it: its operator starts it to be rebuilt (seed 26921). */
  get #isAloneAndEmptied(): boolean {
    return this.#wipes > 0 && this.#initial.nodes.size === 1;
  }

  /** The data directory is put back as it was when `image` was taken; the node is down. */
  rollBack(image: DiskImage): void {
    this.#note('rollback', () => `the disk of node ${this.id} is rolled back to ${image.incarnation} openings`);
    this.#disk = this.#disk.rolledBack(image);
  }

  /** Another node knows the directory of this hello as an older copy: whoever runs on it ends, and never uses it again. */
  refusedAsOlderCopy(hello: PeerHello, by: NodeId): void {
    const disk = this.#disk;
    // It may have got another one meanwhile.
    if (hello.storageId !== disk.storageId) return;
    require(disk.isRolledBack, 'only a rolled-back disk is refused as one', () => {
      return `node ${by} refuses node ${this.id}, whose disk is as it left it`;
    });
    disk.isRefused = true;
    this.#world.counts.add('rolled-back disk refused');
    this.crash();
  }

  /** So far its own clock is behind for pauses, over all lives. */
  get stoodStillUs(): number {
    return this.#stoodStillUs;
  }

  pause(): void {
    if (!this.isRunning) return;
    this.#note('pause', () => `node ${this.id} is paused`);
    this.#isPaused = true;
    this.#pausedAtUs = this.nowUs;
  }

  resume(): void {
    if (!this.#isPaused) return;
    this.#note('resume', () => `node ${this.id} goes on`);
    this.#isPaused = false;
    this.#stoodStillUs += this.nowUs - this.#pausedAtUs;
    const backlog = this.#backlog;
    this.#backlog = [];
    for (const run of backlog) run();
  }

  /** Writes take up to a second. */
  slowDisk(durationUs: number): void {
    this.#slowUntilUs = this.#world.queue.nowUs + durationUs;
  }

  /** Writes are quick from now on and do not fail. */
  quickDisk(): void {
    this.#hasQuickDisk = true;
    this.#slowUntilUs = 0;
    this.#failsNextWrite = false;
    this.#crashPoint = undefined;
  }

  get nowUs(): number {
    return this.#world.queue.nowUs;
  }

  get electionTimeoutUs(): number {
    return this.#world.plan.electionTimeoutUs;
  }

  get handoverPauseUs(): number {
    return this.#settings.handoverPauseTicks * this.#world.plan.tickUs;
  }

  /** How much of the `windowUs` before `untilUs` the log's disk spent on flushes of at least `slowUs` each. */
  slowFlushUs(windowUs: number, slowUs: number, untilUs = this.nowUs): number {
    let totalUs = 0;
    for (let at = this.#flushes.length - 1; at >= 0; at--) {
      const { begunUs, durationUs } = this.#flushes[at] as { begunUs: number; durationUs: number };
      const endUs = Math.min(begunUs + durationUs, untilUs);
      if (endUs <= untilUs - windowUs) break;
      if (durationUs >= slowUs) totalUs += Math.max(0, endUs - Math.max(begunUs, untilUs - windowUs));
    }
    return totalUs;
  }

  /** The most that this came to at any moment until now. */
  mostSlowFlushUs(windowUs: number, slowUs: number): number {
    const ends = this.#flushes.map(({ begunUs, durationUs }) => Math.min(begunUs + durationUs, this.nowUs));
    return Math.max(0, ...ends.map((endUs) => this.slowFlushUs(windowUs, slowUs, endUs)));
  }

  /** Somebody else fills the disk to the last byte, for longer than the process may live. */
  fillDisk(): void {
    this.#setFull(true);
  }

  freeDisk(): void {
    this.#setFull(false);
  }

  #setFull(isFull: boolean): void {
    if (this.#disk.isFull === isFull) return;
    this.#note('space', () => `the disk of node ${this.id} ${isFull ? 'is full' : 'has room'}`);
    this.#disk.isFull = isFull;
    this.#disk.isLogFull = isFull && this.#world.random.chance(30);
    this.#post((process) => this.#measureSpace(process));
  }

  #measureSpace(process: Process): void {
    const isFull = this.#disk.isFull || process.waitsForRoom;
    const level = isFull ? 'full' : this.#world.random.pick(['ok', 'low'] as const);
    const logSurplusIndex = this.#world.random.pick([0, Number.MAX_SAFE_INTEGER]);
    const bytes = { usedBytes: isFull ? 100 : 50, capacityBytes: 100 };
    const log = { logSurplusIndex, logAmpleIndex: logSurplusIndex };
    this.#receive(process, { type: 'space', level, ...bytes, ...log, isWaiting: isFull });
  }

  connected(hello: PeerHello, session: Session): void {
    this.#post((process) => {
      if (process.sessions.has(hello.nodeId))
        this.#receive(process, { type: 'peerDisconnected', nodeId: hello.nodeId });
      process.sessions.set(hello.nodeId, session);
      process.hellos.set(hello.nodeId, hello);
      this.#receive(process, { type: 'peerConnected', hello });
    });
  }

  disconnected(peer: NodeId, session: Session): void {
    this.#post((process) => {
      if (process.sessions.get(peer) !== session) return;
      process.sessions.delete(peer);
      this.#receive(process, { type: 'peerDisconnected', nodeId: peer });
    });
  }

  /** A frame arrived. One of a former link is dropped unless `mayBeStale`. */
  arrived(from: NodeId, session: Session, messages: readonly PeerMessage[], mayBeStale: boolean): void {
    this.#post((process) => {
      const present = process.sessions.get(from);
      if (present === undefined) return;
      if (present !== session) {
        // One of a link to come, of which this node has not heard, is no frame of a former one.
        if (!mayBeStale || session.id > present.id) return;
        this.#world.counts.add('message of a former link');
      }
      const { trace, queue } = this.#world;
      trace.note(
        queue.nowUs,
        'arrive',
        from * 64 + this.id,
        messages.length,
        () => `${from} → ${this.id}  ${describeMessages(messages)}`,
      );
      this.#receive(process, { type: 'peerMessages', from, messages });
    });
  }

  requested(connection: number, requests: readonly ClientRequest[]): void {
    this.#post((process) => this.#receive(process, { type: 'requests', connection, requests }));
  }

  /** Runs now if the process runs, later if it is paused, never if it is gone. */
  #post(run: (process: Process) => void): void {
    const process = this.#process;
    if (!process) return;
    if (this.#isPaused) this.#backlog.push(() => this.#ifAlive(process, run));
    else run(process);
  }

  #ifAlive(process: Process, run: (process: Process) => void): void {
    if (this.#process !== process) return;
    if (this.#isPaused) this.#backlog.push(() => this.#ifAlive(process, run));
    else run(process);
  }

  #tick(process: Process): void {
    if (this.#process !== process) return;
    const { queue, network } = this.#world;
    queue.after(process.tickUs, () => this.#tick(process));
    // A timer that fell due several times while the process was paused fires once.
    if (this.#isPaused) return;
    for (const id of process.replica.peersToDial().keys()) {
      const peer = this.#world.node(id);
      if (peer && !process.sessions.has(id)) network.dial(this, peer);
    }
    const flushingMs = process.isFlushing ? (queue.nowUs - process.flushBegunUs) / 1000 : 0;
    this.#receiveTick(process, flushingMs);
  }

  #receiveTick(process: Process, flushingMs: number): void {
    const elapsedMs = this.#world.plan.tickUs / 1000;
    this.#receive(process, { type: 'tick', elapsedMs, flushingMs, flushingBytes: 0 });
  }

  #receive(process: Process, event: ReplicaEvent): void {
    process.replica.receive(event);
    this.#scheduleTurn(process);
  }

  #scheduleTurn(process: Process): void {
    if (process.isTurnDue) return;
    process.isTurnDue = true;
    const { queue, random } = this.#world;
    queue.after(random.below(100), () => this.#ifAlive(process, () => this.#turn(process)));
  }

  #turn(process: Process): void {
    process.isTurnDue = false;
    const { oracle } = this.#world;
    this.#wasInOffice = process.replica.voter?.paxos.isLeaderInAcceptPhase === true;
    const output = this.#guarded(() => process.replica.turn());
    oracle.afterTurn(this);
    if (this.#strikes('beforeRelease')) return;
    this.#release(process, output);
    if (this.#strikes('afterRelease')) return;
    this.#flush(process);
    this.#writeRowsLater(process);
    if (output.hasMore) this.#scheduleTurn(process);
  }

  #release(process: Process, output: TurnOutput): void {
    const { network, oracle } = this.#world;
    for (const { to, messages } of output.messages) {
      const session = process.sessions.get(to);
      const peer = this.#world.node(to);
      if (!session || !peer) continue;
      if (peer.sessionWith(this.id) === session) this.#checkKnown(process, peer);
      for (const message of messages) {
        oracle.onSend(this, to, message);
        if (message.payload.type === 'TakeOver')
          this.#world.counts.add(
            this.#wasInOffice ? 'lead offered by one in office' : 'lead offered by one that cannot take it up',
          );
      }
      if (session.isOpen) network.send(this, peer, session, messages);
    }
    for (const [connection, responses] of output.responses) this.#world.respond(this, connection, responses);
    for (const { hello, kind, reason } of output.refusals) {
      const { nodeId } = hello;
      // Another one is up by now.
      if (process.hellos.get(nodeId) !== hello) continue;
      const peer = this.#world.node(nodeId);
      process.sessions.delete(nodeId);
      this.#note('refuse', () => `node ${this.id} refuses node ${nodeId}: ${reason}`);
      if (peer) network.refused(this, peer);
      if (kind === 'olderCopy') peer?.refusedAsOlderCopy(hello, this.id);
    }
    for (const { message } of output.notices) this.#note('notice', () => `node ${this.id}: ${message}`);
    for (const job of output.jobs) this.#run(process, job);
  }

  /**
   * Who knows of a later opening of a disk does not talk to a copy from before, but may have forgotten it as one itself (seed 26134). All members know (see
   * the nemesis); one that stands by may have met the copy first (seed 53210784).
   */
  #checkKnown(process: Process, peer: SimulatedNode): void {
    const { disk } = peer;
    if (!disk.isRolledBack || this.#disk.isRolledBack) return;
    if (!process.log.configuration?.members.some(({ storageId }) => storageId === this.#disk.storageId)) return;
    const known = process.log.openings.find(({ storageId }) => storageId === disk.storageId);
    require(known === undefined || known.incarnation < disk.incarnation - 1, 'a rolled-back disk does not vote', () => {
      return `node ${this.id} talks to node ${peer.id}, whose disk was rolled back to ${disk.incarnation - 1} openings; it had seen ${known?.incarnation}`;
    });
  }

  #flush(process: Process): void {
    if (process.isFlushing || !process.log.hasStagedWrites) return;
    process.isFlushing = true;
    process.flushBegunUs = this.#world.queue.nowUs;
    process.log.beginFlush();
    const delayUs = this.#writeUs(this.#world.plan.flushUsMin, this.#world.plan.flushUsMax);
    const flush = { begunUs: process.flushBegunUs, durationUs: delayUs };
    this.#flushes.push(flush);
    if (this.#crashPoint === 'inFlush') {
      this.#world.queue.after(this.#world.random.below(delayUs), () => {
        if (this.#process === process && process.isFlushing) this.#strikes('inFlush');
      });
    }
    this.#world.queue.after(delayUs, () => this.#endFlush(process, flush));
  }

  /** On a full disk it waits, and that counts: its duration is that of the whole wait. */
  #endFlush(process: Process, flush: Flush): void {
    if (this.#process !== process) return;
    if (this.#disk.isLogFull) {
      this.#world.counts.add('flush to a full disk');
      flush.durationUs += roomPollUs;
      this.#world.queue.after(roomPollUs, () => this.#endFlush(process, flush));
      return;
    }
    if (this.#fails()) return;
    process.log.endFlush();
    process.isFlushing = false;
    if (this.#strikes('afterFlush')) return;
    this.#post(() => this.#receive(process, { type: 'flushed', durationMs: flush.durationUs / 1000, bytes: 0 }));
  }

  /** Rows of a state that is taken over: they are written together, and where there is no room for that, none of them ever is. */
  #writeRowsLater(process: Process): void {
    if (process.isWritingRows || process.state.installBacklogBytes === 0) return;
    process.isWritingRows = true;
    const { queue, random, plan, counts } = this.#world;
    queue.after(this.#writeUs(0, plan.rowsUsMax), () => {
      if (this.#process !== process) return;
      process.isWritingRows = false;
      // The store makes one commit after the other.
      if (process.waitsForRoom) return;
      const lacksRoom = this.#disk.isFull || (!this.#hasQuickDisk && random.chance(plan.rowsLackRoomPercent));
      counts.add(lacksRoom ? 'rows without room' : 'rows written late');
      process.state.writeRows(!lacksRoom);
      this.#writeRowsLater(process);
    });
  }

  /** A crash comes in the midst of it. */
  #writeSomeRows({ state }: Process): void {
    const { random, counts } = this.#world;
    counts.add('crash among rows');
    state.writeRows(true, random.between(0, 3));
  }

  /** A checkpoint does, for what rows of a state take. */
  get waitsForRoom(): boolean {
    return this.#process?.waitsForRoom === true;
  }

  /** It waits for some minutes before it looks for room again: its operator, who has made some, does not. */
  startAgainIfItLackedRoom(): void {
    if (this.#process?.replica.status().catchUp?.lackOfRoom === undefined) return;
    this.crash();
    this.start();
  }

  #run(process: Process, job: StorageJob): void {
    if (process.job)
      throw new Violation('one storage job at a time', `node ${this.id}: ${job.type} during ${process.job.type}`);
    process.job = job;
    this.#guarded(() => void job.run());
    const delayUs = this.#writeUs(100, this.#world.plan.checkpointUsMax);
    if (this.#crashPoint === 'inJob') {
      this.#world.queue.after(this.#world.random.below(delayUs), () => {
        if (this.#process === process && process.job === job) this.#strikes('inJob');
      });
    }
    this.#world.queue.after(delayUs, () => this.#endJob(process, job));
  }

  /** On a full disk the write is tried again until it goes through. */
  #endJob(process: Process, job: StorageJob): void {
    if (this.#process !== process) return;
    if (this.#disk.isFull || this.#isBehindRows(process, job)) {
      this.#world.counts.add('write to a full disk');
      this.#world.queue.after(roomPollUs, () => this.#endJob(process, job));
      return;
    }
    if (this.#fails()) return;
    process.state.endWork();
    process.job = undefined;
    if (process.waitsForRoom) this.#setWaiting(process, false);
    if (this.#strikes('afterJob')) return;
    const event: ReplicaEvent =
      job.type === 'checkpoint' ? { type: 'checkpointed' } : { type: 'stateInstalled', index: job.index };
    this.#note('job', () => `node ${this.id}: ${job.type} is durable`);
    this.#post(() => this.#receive(process, event));
  }

  /** Room for it is made by the node itself, or never. */
  #isBehindRows(process: Process, { type }: StorageJob): boolean {
    const isBehind = this.#world.plan.tightDisks && type === 'checkpoint' && process.state.holdsInstalledRows;
    if (isBehind && !process.waitsForRoom) {
      this.#world.counts.add('checkpoint that waits for rows to go');
      this.#setWaiting(process, true);
    }
    return isBehind;
  }

  #setWaiting(process: Process, waitsForRoom: boolean): void {
    process.waitsForRoom = waitsForRoom;
    this.#post(() => this.#measureSpace(process));
    if (!waitsForRoom) this.#writeRowsLater(process);
  }

  /** A failed write ends the node, and nobody knows what of it reached the disk. */
  #fails(): boolean {
    if (!this.#failsNextWrite) return false;
    this.#failsNextWrite = false;
    this.#note('fail', () => `the disk of node ${this.id} fails`);
    this.crash();
    this.#world.nodeFailed(this);
    return true;
  }

  #strikes(point: CrashPoint): boolean {
    if (this.#crashPoint !== point) return false;
    this.#crashPoint = undefined;
    this.#world.counts.add(`crash ${words(point)}`);
    this.crash();
    this.#world.nodeFailed(this);
    return true;
  }

  #writeUs(fromUs: number, toUs: number): number {
    const { random, queue } = this.#world;
    if (this.#hasQuickDisk) return random.between(50, 1000);
    if (queue.nowUs < this.#slowUntilUs) return random.between(100_000, 1_000_000);
    return random.between(Math.min(fromUs, toUs), toUs);
  }

  #guarded<T>(run: () => T): T {
    try {
      return run();
    } catch (error) {
      if (error instanceof Violation) throw error;
      const { name, message, stack } = error as Error;
      throw new Violation(
        name === 'InvariantError' ? 'invariant' : 'exception',
        `node ${this.id}: ${message}\n${stack}`,
      );
    }
  }

  #newStorageId(): string {
    return `d${this.id}.${this.#wipes}`;
  }

  #note(code: string, text: () => string): void {
    this.#world.trace.note(this.#world.queue.nowUs, code, this.id, 0, text);
  }
}

function words(point: CrashPoint): string {
  return point.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
}
