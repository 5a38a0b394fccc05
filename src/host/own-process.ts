import { BackgroundPriority } from './background-priority.ts';
import { keepFreedMemory } from './freed-memory.ts';
import { HeapGrowth } from './heap-growth.ts';
import { YoungGeneration } from './young-generation.ts';

/** The settings of a process that does nothing but run a node. */
export class OwnProcess {
  readonly #priority = new BackgroundPriority();
  readonly #heap = new HeapGrowth();
  readonly #youngGeneration = new YoungGeneration();

  constructor() {
    keepFreedMemory();
  }

  /** To be called often. `isBackground`: what the node does can wait, as nobody asks it for anything yet. */
  tick(isBackground: boolean, nowMs: number): void {
    this.#priority.tick(isBackground, nowMs);
    this.#heap.tick(isBackground, nowMs);
    this.#youngGeneration.tick(nowMs);
  }
}
