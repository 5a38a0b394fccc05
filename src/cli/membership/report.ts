import { formatBytes } from '../../base/byte-size.ts';
import { LiveLine } from '../live-line.ts';
import { printJson, printJsonLine, printLine, printMessage } from '../output.ts';
import type { CatchUpProgress } from './catch-up-meter.ts';
import type { MembershipChange } from './membership-change.ts';
import { progressBar } from './progress-bar.ts';

/** `text`: a line at the end; `json`: an object at the end; `events`: an object a line all the time, the last one the result. */
export type OutputMode = 'text' | 'json' | 'events';

/** Milliseconds between two `progress` events. */
const eventIntervalMs = 500;

/** Tells people and scripts how a change of members goes on. The bar is for people at a terminal, and gone at the end. */
export class MembershipReport {
  readonly #mode: OutputMode;
  readonly #line = new LiveLine();
  #lastEventMs = Number.NEGATIVE_INFINITY;
  #bytesReceived = 0;

  constructor(mode: OutputMode) {
    this.#mode = mode;
  }

  /** All that was looked at is sound, and nothing more is done. */
  async dryRun(change: MembershipChange): Promise<void> {
    const result = { ...change, dryRun: true };
    if (this.#mode === 'json') return printJson(result);
    if (this.#mode === 'events') return printJsonLine({ event: 'checked', ...result });
    await printLine(`${describe(change)} would be next: nothing was changed`);
  }

  async proposed(change: MembershipChange): Promise<void> {
    if (this.#mode === 'events') await printJsonLine({ event: 'proposed', ...change });
  }

  /** Newcomers get all data; nothing is changed yet. */
  async filling(ids: readonly number[]): Promise<void> {
    if (this.#mode === 'events') await printJsonLine({ event: 'filling', newcomers: ids });
    else if (!this.#line.isSeen) {
      const nodes = `node${ids.length > 1 ? 's' : ''} ${ids.join(', ')}`;
      printMessage(`${nodes} get${ids.length > 1 ? '' : 's'} all data before the members change`);
    }
  }

  /** `awaited`: until they are complete. */
  async decided(change: MembershipChange, awaited = change.added): Promise<void> {
    if (this.#mode === 'events') await printJsonLine({ event: 'decided', ...change });
    else if (awaited.length > 0 && !this.#line.isSeen) {
      const areComplete = `${awaited.join(', ')} ${awaited.length > 1 ? 'are' : 'is'} complete`;
      printMessage(`${describe(change)} is decided: waiting until ${areComplete}`);
    }
  }

  progress(progress: CatchUpProgress): void {
    this.#bytesReceived = Math.max(this.#bytesReceived, progress.bytesReceived);
    if (progress.newcomers.some(({ isComplete }) => !isComplete)) this.#line.show(progressBar(progress));
    const nowMs = performance.now();
    if (this.#mode !== 'events' || nowMs - this.#lastEventMs < eventIntervalMs) return;
    this.#lastEventMs = nowMs;
    void printJsonLine({ event: 'progress', ...progress });
  }

  /** What people should know meanwhile. */
  message(line: string): void {
    this.#line.clear();
    printMessage(line);
  }

  /** Takes the bar away. */
  clear(): void {
    this.#line.clear();
  }

  /** The end. `isComplete`: every newcomer has all data and votes. `awaited`: who was waited for. */
  async done(change: MembershipChange, isComplete: boolean, awaited = change.added): Promise<void> {
    const result = { ...change, complete: isComplete };
    if (this.#mode === 'json') return printJson(result);
    if (this.#mode === 'events') return printJsonLine({ event: isComplete ? 'complete' : 'decided', ...result });
    const received = this.#bytesReceived;
    if (received > 0) printMessage(`received by ${awaited.join(', ')}: ${formatBytes(received)}`);
    await printLine(describe(change));
  }
}

function describe({ configurationId, members }: MembershipChange): string {
  return `configuration ${configurationId} with members ${members.join(', ')}`;
}
