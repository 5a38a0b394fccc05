import { ByteReader, ByteWriter } from '../base/bytes.ts';
import type { SpaceReport } from './command.ts';
import type { SessionChange, SessionRow } from './state-store.ts';

/** Where the register is stored: among the sessions, whose ids begin at 1. */
export const spaceRowId = 0;

/** Most nodes in the register; far above what a configuration has. */
const fullNodesMax = 1024;

/** A node without space, as of its report. */
export interface FullNode {
  readonly nodeId: number;
  readonly usedBytes: number;
  readonly capacityBytes: number;
}

/**
 * Which members have no space. Replicated state: it changes only by entries of the log, so every replica refuses the same
 * puts. A report from an older configuration is passed over: with each that begins the members say anew what is so, and whoever is no member
 * any more, or votes with another directory now, or is down, holds nobody up.
 */
export class SpaceRegister {
  /** The newest configuration whose StopSign was applied; 1 before the first. */
  #configurationId = 1;
  /** Ascending by node id. */
  #full: readonly FullNode[] = [];
  #isChanged = false;

  /** The configuration that the replicated state is of; 1 before the first StopSign. */
  get configurationId(): number {
    return this.#configurationId;
  }

  /** Ascending by node id. */
  get fullNodes(): readonly FullNode[] {
    return this.#full;
  }

  note(report: SpaceReport): void {
    const { nodeId, configurationId, isFull, usedBytes, capacityBytes } = report;
    if (configurationId < this.#configurationId) return;
    const others = this.#full.filter((node) => node.nodeId !== nodeId);
    if (!isFull && others.length === this.#full.length) return;
    if (isFull && others.length >= fullNodesMax) return;
    const full = isFull ? [...others, { nodeId, usedBytes, capacityBytes }] : others;
    this.#full = full.sort((a, b) => a.nodeId - b.nodeId);
    this.#isChanged = true;
  }

  /** A configuration begins. */
  begin(configurationId: number): void {
    this.#configurationId = configurationId;
    this.#full = [];
    this.#isChanged = true;
  }

  /** What a checkpoint has to write since the last one. */
  takeChanges(): SessionChange[] {
    const changes = this.changes();
    this.#isChanged = false;
    return changes;
  }

  /** The same, which the next checkpoint has to write all the same. */
  changes(): SessionChange[] {
    return this.#isChanged ? this.rows() : [];
  }

  /** Becomes what was stored; `undefined`: nothing was. */
  load(bytes: Uint8Array | undefined): void {
    this.#configurationId = 1;
    this.#full = [];
    this.#isChanged = false;
    if (bytes === undefined) return;
    const reader = new ByteReader(bytes);
    this.#configurationId = reader.varuint();
    const full: FullNode[] = [];
    for (let left = reader.count(fullNodesMax); left > 0; left--) {
      full.push({ nodeId: reader.varuint(), usedBytes: reader.varuint(), capacityBytes: reader.varuint() });
    }
    reader.end();
    this.#full = full;
  }

  /** The same on every replica at the same applied index. */
  rows(): SessionRow[] {
    return [{ id: spaceRowId, bytes: this.#encode() }];
  }

  #encode(): Uint8Array {
    const writer = new ByteWriter().varuint(this.#configurationId).varuint(this.#full.length);
    for (const node of this.#full) writer.varuint(node.nodeId).varuint(node.usedBytes).varuint(node.capacityBytes);
    return writer.finish();
  }
}
