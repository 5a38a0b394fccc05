import { formatBytes } from '../../base/byte-size.ts';
import type { FullNode } from '../../kv/cluster-register.ts';
import { reportSpace } from '../../kv/command.ts';
import type { KvStateMachine } from '../../kv/state-machine.ts';
import type { NodeId } from '../../omnipaxos/ballot.ts';
import type { Failure } from '../../wire/client-message.ts';
import type { SpaceMeasured } from '../events.ts';
import { failure, type Output } from '../output.ts';
import type { Voter } from '../voter.ts';

/** What the space of a node needs to know of it. */
export interface SpaceView {
  readonly nodeId: NodeId;
  /** Set while this node votes. */
  readonly voter: Voter | undefined;
  readonly tick: number;
  readonly isConnected: (nodeId: NodeId) => boolean;
}

/** How much of a state can be taken beside the present one. */
export interface StateRoom {
  readonly roomBytes: number;
  /** There is no space any more. */
  readonly isOver: boolean;
  /** A write that must be made, and comes first, waits for room. */
  readonly isWaiting: boolean;
}

/**
 * The space of this node, and what the cluster makes of it. A node that gets full, or has room again, says so by a command:
 * the refusal of puts is decided like any entry, and so is its end.
 */
export class Space {
  readonly #machine: KvStateMachine;
  readonly #output: Output;
  readonly #view: SpaceView;
  readonly #retryTicks: number;
  #measured: SpaceMeasured | undefined;
  /** When the report was proposed that is not seen applied yet. */
  #proposedTick: number | undefined;

  constructor(machine: KvStateMachine, output: Output, view: SpaceView, retryTicks: number) {
    this.#machine = machine;
    this.#output = output;
    this.#view = view;
    this.#retryTicks = retryTicks;
  }

  /** Undefined until it was measured. */
  get measured(): SpaceMeasured | undefined {
    return this.#measured;
  }

  get stateRoom(): StateRoom {
    const { stateRoomBytes = Number.POSITIVE_INFINITY, level, isWaiting = false } = this.#measured ?? {};
    return { roomBytes: stateRoomBytes, isOver: level === 'full', isWaiting };
  }

  /** Members without space, as applied here. */
  get fullNodes(): readonly FullNode[] {
    return this.#machine.fullNodes;
  }

  onMeasured(measured: SpaceMeasured): void {
    const before = this.#measured;
    this.#measured = measured;
    if (measured.level !== (before?.level ?? 'ok')) this.#noticeLevel(measured);
    if (measured.isWaiting && before?.isWaiting !== true) {
      this.#output.notice('warn', waiting(measured));
    }
    if (!measured.isWaiting && before?.isWaiting === true) this.#output.notice('info', 'the disk has room again');
  }

  /** Proposes what the cluster does not know yet of this node, again and again until it is applied here. */
  pump(): void {
    const { voter, nodeId, tick } = this.#view;
    if (this.#measured === undefined || voter === undefined) return;
    const { level, usedBytes, capacityBytes } = this.#measured;
    const isFull = level === 'full';
    if (this.fullNodes.some((node) => node.nodeId === nodeId) === isFull) {
      this.#proposedTick = undefined;
      return;
    }
    const isDue = this.#proposedTick === undefined || tick - this.#proposedTick >= this.#retryTicks;
    if (!isDue || !voter.canReachLeader(this.#view.isConnected)) return;
    const { configurationId } = voter;
    voter.propose(reportSpace({ nodeId, configurationId, isFull, usedBytes, capacityBytes }));
    this.#proposedTick = tick;
  }

  /** Why no put is worth a proposal now: the cluster would refuse it. */
  get putRefusal(): Failure | undefined {
    const { fullNodes } = this;
    if (fullNodes.length === 0) return undefined;
    // Out of reach of a leader this may be long over.
    if (this.#view.voter?.canReachLeader(this.#view.isConnected) !== true) return undefined;
    return failure('noSpace', 'notApplied', refusalMessage(fullNodes));
  }

  /** Why this node writes nothing now: what it proposes may be decided by others, but not with it. */
  get writeWait(): string | undefined {
    if (this.#measured?.isWaiting !== true) return undefined;
    return `on node ${this.#view.nodeId} ${waiting(this.#measured)}`;
  }

  #noticeLevel(measured: SpaceMeasured): void {
    const { level } = measured;
    if (level === 'ok') this.#output.notice('info', `space: ${use(measured)}`);
    else if (level === 'low') this.#output.notice('warn', `space is low: ${use(measured)}; at 95 % ${this.#whatThen}`);
    else this.#output.notice('warn', `no space: ${use(measured)}; ${this.#whatThen}`);
  }

  /** One that is no member keeps nobody from anything. */
  get #whatThen(): string {
    return this.#view.voter === undefined ? 'this node should not become a member' : 'the cluster refuses puts';
  }
}

function refusalMessage(nodes: readonly FullNode[]): string {
  const names = nodes.map((node) => `node ${node.nodeId} has no space (${use(node)})`).join(', ');
  return `${names}: delete keys, give it a larger disk or quota, or replace it with kv member replace`;
}

function waiting(measured: SpaceMeasured): string {
  const why = measured.waitsFor === undefined ? '' : `; ${measured.waitsFor}`;
  return `the disk is full: writes wait until there is room (${use(measured)}${why})`;
}

/** "61.2 MiB of 64.0 MiB used, 95 %" */
function use({ usedBytes, capacityBytes }: { readonly usedBytes: number; readonly capacityBytes: number }): string {
  const percent = capacityBytes === 0 ? 100 : Math.floor((100 * usedBytes) / capacityBytes);
  return `${formatBytes(usedBytes)} of ${formatBytes(capacityBytes)} used, ${percent} %`;
}
