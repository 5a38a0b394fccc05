import { ByteReader, ByteWriter } from '../base/bytes.ts';
import type { SpaceReport } from './command.ts';
import type { SessionChange, SessionRow } from './state-store.ts';

/** Where the register is stored: among the sessions, whose ids begin at 1. */
export const registerRowId = 0;

/** Most nodes in the register; far above what a configuration has. */
const fullNodesMax = 1024;

const nothing = new Uint8Array(0);

/** A node without space, as of its report. */
export interface FullNode {
  readonly nodeId: number;
  readonly usedBytes: number;
  readonly capacityBytes: number;
}

/** The configuration that a state is of, as the StopSign said that opened it. */
export interface StateConfiguration {
  readonly configurationId: number;
  /** Where that StopSign is in the log. */
  readonly stopSignIndex: number;
  /** What it carries: of no meaning here. */
  readonly metadata: Uint8Array;
}

/**
 * What the state knows of the cluster: the configuration that it is of, so that a node that has a state knows where it belongs; and which members
 * have no space. Replicated state: it changes only by entries of the log, so every replica refuses the same puts. A report from an older
 * configuration is passed over: with each that begins the members say anew what is so, and whoever is no member any more, or votes with another
 * directory now, or is down, holds nobody up.
 */
export class ClusterRegister {
  #configuration: StateConfiguration | undefined;
  /** Ascending by node id. */
  #full: readonly FullNode[] = [];
  #isChanged = false;

  /** Undefined before the first StopSign. */
  get configuration(): StateConfiguration | undefined {
    return this.#configuration;
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

  begin(configuration: StateConfiguration): void {
    // A copy: what it came with may be part of something larger.
    this.#configuration = { ...configuration, metadata: configuration.metadata.slice() };
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
    this.#configuration = undefined;
    this.#full = [];
    this.#isChanged = false;
    if (bytes === undefined) return;
    const reader = new ByteReader(bytes);
    const configurationId = reader.varuint();
    const full: FullNode[] = [];
    for (let left = reader.count(fullNodesMax); left > 0; left--) {
      full.push({ nodeId: reader.varuint(), usedBytes: reader.varuint(), capacityBytes: reader.varuint() });
    }
    this.#full = full;
    if (configurationId === 1) return reader.end();
    // A row that an earlier version wrote has the id alone; and who had no space before it was still full then.
    const isWhole = reader.remaining > 0;
    if (!isWhole) this.#full = [];
    const stopSignIndex = isWhole ? reader.varuint() : 0;
    this.#configuration = { configurationId, stopSignIndex, metadata: isWhole ? reader.bytes().slice() : nothing };
    reader.end();
  }

  /** The same on every replica at the same applied index. */
  rows(): SessionRow[] {
    return [{ id: registerRowId, bytes: this.#encode() }];
  }

  get #configurationId(): number {
    return this.#configuration?.configurationId ?? 1;
  }

  #encode(): Uint8Array {
    const writer = new ByteWriter().varuint(this.#configurationId).varuint(this.#full.length);
    for (const node of this.#full) writer.varuint(node.nodeId).varuint(node.usedBytes).varuint(node.capacityBytes);
    const configuration = this.#configuration;
    if (configuration) writer.varuint(configuration.stopSignIndex).bytes(configuration.metadata);
    return writer.finish();
  }
}
