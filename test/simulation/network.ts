import { decodePeerFrame, encodePeerFrames } from '../../src/wire/peer-frame.ts';
import { isAhead, type PeerHello, type PeerMessage } from '../../src/wire/peer-message.ts';
import { corrupted } from './corruption.ts';
import type { EventQueue } from './event-queue.ts';
import type { FaultCounts } from './fault-counts.ts';
import type { NetworkPlan } from './plan.ts';
import type { Random } from './random.ts';
import type { SimulatedNode } from './simulated-node.ts';
import type { Trace } from './trace.ts';

/** One connection between two nodes, from its hello to its end. */
export interface Session {
  readonly id: number;
  isOpen: boolean;
}

/** When the last frame arrives, each way: frames keep their order unless the plan says otherwise. */
interface Lane {
  lastToB: number;
  lastToA: number;
}

/** The way between two nodes. */
interface Link {
  readonly a: SimulatedNode;
  readonly b: SimulatedNode;
  /** Messages from a to b, or from b to a, vanish. */
  cutToB: boolean;
  cutToA: boolean;
  session: Session | undefined;
  nextDialUs: number;
  readonly lane: Lane;
  readonly heartbeatLane: Lane;
  /** How long frames take, each way, where that never changes. */
  readonly steadyToAUs: number;
  readonly steadyToBUs: number;
}

const redialUs = 60_000;
const refusedRedialUs = 1_000_000;
const silenceUsMax = 2_000_000;

/** Links between nodes: delays, loss, duplication, reordering, cuts in one or both directions, reconnects. */
export class SimulatedNetwork {
  readonly #queue: EventQueue;
  readonly #random: Random;
  readonly #plan: NetworkPlan;
  readonly #trace: Trace;
  readonly #counts: FaultCounts;
  readonly #links = new Map<string, Link>();
  #sessions = 0;
  /** More loss and delay for a while. */
  #stormUntilUs = 0;
  /** Links without faults from now on, but for a loss: after the healing. */
  readonly #healed = new Set<Link>();
  #coreLossPercent = 0;

  constructor(options: {
    readonly queue: EventQueue;
    readonly random: Random;
    readonly plan: NetworkPlan;
    readonly trace: Trace;
    readonly counts: FaultCounts;
    readonly nodes: readonly SimulatedNode[];
  }) {
    this.#queue = options.queue;
    this.#random = options.random;
    this.#plan = options.plan;
    this.#trace = options.trace;
    this.#counts = options.counts;
    for (const a of options.nodes) {
      for (const b of options.nodes) {
        if (a.id >= b.id) continue;
        this.#links.set(keyOf(a, b), {
          ...{ a, b, cutToA: false, cutToB: false, session: undefined, nextDialUs: 0 },
          ...{ lane: { lastToA: 0, lastToB: 0 }, heartbeatLane: { lastToA: 0, lastToB: 0 } },
          ...{ steadyToAUs: this.#steadyDelayUs(), steadyToBUs: this.#steadyDelayUs() },
        });
      }
    }
  }

  /** A node wants a link: connects, if the way is free both ways and the other process answers. */
  dial(from: SimulatedNode, to: SimulatedNode): void {
    const link = this.#link(from, to);
    if (link.session || link.cutToA || link.cutToB || this.#queue.nowUs < link.nextDialUs) return;
    if (!from.isRunning || !to.isRunning) return;
    const [hello, other] = [from.hello(), to.hello()];
    if (hello.clusterId !== undefined && other.clusterId !== undefined && hello.clusterId !== other.clusterId) {
      link.nextDialUs = this.#queue.nowUs + refusedRedialUs;
      return;
    }
    link.session = { id: ++this.#sessions, isOpen: true };
    link.nextDialUs = this.#queue.nowUs + this.#random.between(redialUs, 4 * redialUs);
    this.#greet(link, from, to, hello);
    this.#greet(link, to, from, other);
  }

  /** All that a turn has for a peer. */
  send(from: SimulatedNode, to: SimulatedNode, session: Session, messages: readonly PeerMessage[]): void {
    const link = this.#link(from, to);
    const isHealthy = this.#healed.has(link);
    const carried = isHealthy ? messages : messages.map((message) => this.#perhapsCorrupted(message));
    for (const frame of this.#frames(from, carried, isHealthy)) {
      if (isHealthy ? this.#losesInCore(frame) : this.#loses()) {
        this.#counts.add('message lost');
        continue;
      }
      this.#transmit(link, from, to, session, frame, isHealthy);
      if (!isHealthy && this.#random.chance(this.#plan.duplicatePercent)) {
        this.#counts.add('message duplicated');
        this.#transmit(link, from, to, session, frame, false);
      }
    }
  }

  /** Messages from one to the other vanish from now on; the link itself ends at once or when its silence is noticed. */
  cut(from: SimulatedNode, to: SimulatedNode): void {
    const link = this.#link(from, to);
    if (to === link.b) link.cutToB = true;
    else link.cutToA = true;
    const { session } = link;
    if (!session) return;
    const delayUs = this.#random.chance(50) ? 0 : this.#random.below(silenceUsMax);
    this.#queue.after(delayUs, () => {
      if (link.session === session && (link.cutToA || link.cutToB)) this.#end(link);
    });
  }

  heal(from: SimulatedNode, to: SimulatedNode): void {
    const link = this.#link(from, to);
    if (to === link.b) link.cutToB = false;
    else link.cutToA = false;
    // Some came through and some did not: a real connection would have ended. Mostly this one does.
    if (link.session && this.#random.chance(70)) this.#end(link);
  }

  /** A link from now on that does nothing worse than to lose frames. */
  makeHealthy(a: SimulatedNode, b: SimulatedNode, lossPercent: number): void {
    this.#coreLossPercent = lossPercent;
    const link = this.#link(a, b);
    const isKept = this.#plan.keepsLinks && !link.cutToA && !link.cutToB;
    if (link.session && !isKept) this.#end(link);
    link.cutToA = false;
    link.cutToB = false;
    link.nextDialUs = 0;
    this.#healed.add(link);
  }

  /** The connection breaks; the nodes may dial at once. */
  reset(a: SimulatedNode, b: SimulatedNode): void {
    const link = this.#link(a, b);
    if (link.session) this.#end(link);
  }

  /** A process ended: its connections break, noticed soon or by their silence. */
  processEnded(node: SimulatedNode): void {
    for (const link of this.#links.values()) {
      if (link.a !== node && link.b !== node) continue;
      const { session } = link;
      if (!session) continue;
      link.session = undefined;
      const other = link.a === node ? link.b : link.a;
      const delayUs = this.#random.chance(60) ? this.#random.below(5000) : this.#random.below(silenceUsMax);
      this.#queue.after(delayUs, () => other.disconnected(node.id, session));
    }
  }

  /** A node refused the other's hello. */
  refused(by: SimulatedNode, other: SimulatedNode): void {
    const link = this.#link(by, other);
    if (!link.session) return;
    const { session } = link;
    session.isOpen = false;
    link.session = undefined;
    link.nextDialUs = this.#queue.nowUs + refusedRedialUs;
    this.#queue.after(this.#delayUs(other, link, false), () => other.disconnected(by.id, session));
  }

  storm(durationUs: number): void {
    this.#stormUntilUs = this.#queue.nowUs + durationUs;
  }

  isCut(from: SimulatedNode, to: SimulatedNode): boolean {
    const link = this.#link(from, to);
    return to === link.b ? link.cutToB : link.cutToA;
  }

  #end(link: Link): void {
    const { session, a, b } = link;
    if (!session) return;
    session.isOpen = false;
    link.session = undefined;
    this.#queue.after(this.#random.below(3000), () => a.disconnected(b.id, session));
    this.#queue.after(this.#random.below(3000), () => b.disconnected(a.id, session));
  }

  #greet(link: Link, from: SimulatedNode, to: SimulatedNode, hello: PeerHello): void {
    const { session } = link;
    if (!session) return;
    this.#inOrder(link, link.lane, to, this.#delayUs(to, link), () => {
      if (session.isOpen && link.session === session) to.connected(hello, session);
    });
    this.#trace.note(
      this.#queue.nowUs,
      'hello',
      from.id,
      to.id,
      () => `node ${from.id} connects to node ${to.id} (link ${session.id})`,
    );
  }

  #frames(from: SimulatedNode, messages: readonly PeerMessage[], isHealthy: boolean): (readonly PeerMessage[])[] {
    const frames = this.#plan.splitFrames && !isHealthy ? messages.map((message) => [message]) : this.#apart(messages);
    if (!this.#plan.codec) return frames;
    return frames.flatMap((frame) =>
      encodePeerFrames(from.hello().clusterId, frame).map((bytes) => decodePeerFrame(bytes).messages),
    );
  }

  /** As in `network/heartbeat-links.ts`. */
  #apart(messages: readonly PeerMessage[]): (readonly PeerMessage[])[] {
    if (!this.#plan.heartbeatsApart) return [messages];
    const ahead = messages.filter(isAhead);
    const others = messages.filter((message) => !isAhead(message));
    return [ahead, others].filter((frame) => frame.length > 0);
  }

  #perhapsCorrupted(message: PeerMessage): PeerMessage {
    if (this.#plan.corruptPercent === 0 || !this.#random.chance(this.#plan.corruptPercent)) return message;
    const changed = corrupted(message, this.#random);
    if (changed) this.#counts.add('state or log corrupted');
    return changed ?? message;
  }

  /** Heartbeats come through, so that no new leader mends what the present one must mend. */
  #losesInCore(frame: readonly PeerMessage[]): boolean {
    if (frame.some(isAhead)) return false;
    return this.#random.chance(this.#coreLossPercent);
  }

  #loses(): boolean {
    const isStormy = this.#queue.nowUs < this.#stormUntilUs;
    return this.#random.chance(isStormy ? Math.max(30, this.#plan.lossPercent) : this.#plan.lossPercent);
  }

  #transmit(
    link: Link,
    from: SimulatedNode,
    to: SimulatedNode,
    session: Session,
    frame: readonly PeerMessage[],
    isHealthy: boolean,
  ): void {
    const isApart = this.#plan.heartbeatsApart && frame.every(isAhead);
    const slowUs = isApart || isHealthy ? 0 : this.#plan.slowLinkUs;
    const delayUs = this.#delayUs(to, link, isHealthy) + slowUs;
    const clusterId = from.replica?.clusterId;
    const arrive = (): void => {
      if (!this.#isOfOtherCluster(to, clusterId)) return this.#arrive(link, from, to, session, frame);
      this.#counts.add('frame of another cluster');
      if (link.session === session) this.#end(link);
    };
    if (!isHealthy && this.#random.chance(this.#plan.reorderPercent)) {
      this.#counts.add('message reordered');
      this.#queue.after(delayUs + this.#random.below(5 * this.#plan.delayUsMax), arrive);
    } else this.#inOrder(link, isApart ? link.heartbeatLane : link.lane, to, delayUs, arrive);
  }

  /** As in `network/peer-links.ts`: such a frame ends its link. */
  #isOfOtherCluster(to: SimulatedNode, clusterId: string | undefined): boolean {
    const own = to.replica?.clusterId;
    return own !== undefined && clusterId !== undefined && own !== clusterId;
  }

  #arrive(link: Link, from: SimulatedNode, to: SimulatedNode, session: Session, frame: readonly PeerMessage[]): void {
    if (to === link.b ? link.cutToB : link.cutToA) {
      this.#counts.add('message cut off');
      return;
    }
    to.arrived(from.id, session, frame, this.#plan.staleFrames && !this.#healed.has(link));
  }

  #inOrder(link: Link, lane: Lane, to: SimulatedNode, delayUs: number, run: () => void): void {
    const { nowUs } = this.#queue;
    const last = to === link.b ? lane.lastToB : lane.lastToA;
    const arrivalUs = Math.max(nowUs + delayUs, last);
    if (to === link.b) lane.lastToB = arrivalUs;
    else lane.lastToA = arrivalUs;
    this.#queue.after(arrivalUs - nowUs, run);
  }

  #delayUs(to: SimulatedNode, link: Link, isHealthy = this.#healed.has(link)): number {
    const { delayUsMin, delayUsMax, steadyDelayUsMax } = this.#plan;
    if (steadyDelayUsMax > 0) return to === link.a ? link.steadyToAUs : link.steadyToBUs;
    if (isHealthy) return this.#random.between(100, 2000);
    const isStormy = this.#queue.nowUs < this.#stormUntilUs;
    return this.#random.between(delayUsMin, isStormy ? 4 * delayUsMax : delayUsMax);
  }

  /** None is drawn where none is needed, so that all else of such a seed stays as it was. */
  #steadyDelayUs(): number {
    const { steadyDelayUsMax } = this.#plan;
    return steadyDelayUsMax === 0 ? 0 : this.#random.between(100, steadyDelayUsMax);
  }

  #link(a: SimulatedNode, b: SimulatedNode): Link {
    const link = this.#links.get(a.id < b.id ? keyOf(a, b) : keyOf(b, a));
    if (!link) throw new Error(`no link between ${a.id} and ${b.id}`);
    return link;
  }
}

function keyOf(a: SimulatedNode, b: SimulatedNode): string {
  return `${a.id}-${b.id}`;
}
