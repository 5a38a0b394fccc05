import { toByteString } from '../../src/base/bytes.ts';
import { type Command, decodeCommand } from '../../src/kv/command.ts';
import type { Outcome } from '../../src/kv/outcome.ts';
import type { Entry } from '../../src/omnipaxos/entry.ts';

/** What a key was from one index on. */
interface Version {
  /** Index of the entry that made it, plus one; 0: as it was before everything. */
  readonly revision: number;
  readonly value: Uint8Array | undefined;
}

interface Session {
  acknowledgedBelow: number;
  readonly outcomes: Map<number, Outcome>;
}

const never: readonly Version[] = [{ revision: 0, value: undefined }];

/**
 * The slow, obvious second implementation of the store: what the one decided sequence does, with every version of every key
 * kept, so that it can be asked for any index.
 */
export class Reference {
  readonly #versions = new Map<string, Version[]>();
  readonly #sessions = new Map<number, Session>();
  /** By the bytes of the command: what each of its entries gave. */
  readonly #outcomes = new Map<string, { readonly index: number; readonly outcome: Outcome }[]>();
  #appliedIndex = 0;
  #configurationId = 1;
  /** Members that said that they have no space. */
  readonly #full = new Set<number>();

  get appliedIndex(): number {
    return this.#appliedIndex;
  }

  get keys(): readonly string[] {
    return [...this.#versions.keys()].sort();
  }

  apply(entry: Entry<Uint8Array>): void {
    const index = this.#appliedIndex++;
    if (entry.type === 'StopSign') {
      this.#configurationId = entry.stopSign.configId;
      this.#full.clear();
      return;
    }
    const id = toByteString(entry.entry);
    const given = this.#outcomes.get(id) ?? [];
    given.push({ index, outcome: this.#outcome(index, entry.entry) });
    this.#outcomes.set(id, given);
  }

  /** What the entries with these bytes gave, in order. */
  outcomesOf(command: Uint8Array): readonly { readonly index: number; readonly outcome: Outcome }[] {
    return this.#outcomes.get(toByteString(command)) ?? [];
  }

  /** The key as of `appliedIndex`. */
  at(key: string, appliedIndex: number): Version {
    const versions = this.#versions.get(key) ?? never;
    for (let at = versions.length - 1; at > 0; at--) {
      const version = versions[at] as Version;
      if (version.revision <= appliedIndex) return version;
    }
    return never[0] as Version;
  }

  /** Applied indexes above `from` at which something changed, and `from` itself. */
  *moments(from: number, key?: string): Generator<number> {
    yield from;
    const revisions = new Set<number>();
    for (const name of key === undefined ? this.#versions.keys() : [key]) {
      for (const { revision } of this.#versions.get(name) ?? []) if (revision > from) revisions.add(revision);
    }
    yield* revisions;
  }

  #outcome(index: number, bytes: Uint8Array): Outcome {
    const command = decodeCommand(bytes);
    if (command.kind === 'openSession') {
      this.#sessions.set(index + 1, { acknowledgedBelow: 0, outcomes: new Map() });
      return { type: 'sessionOpened', session: index + 1 };
    }
    if (command.kind === 'reportSpace') {
      const { nodeId, configurationId, isFull } = command.report;
      if (configurationId === this.#configurationId) this.#full[isFull ? 'add' : 'delete'](nodeId);
      return { type: 'spaceNoted' };
    }
    const session = this.#sessions.get(command.session);
    if (!session) return { type: 'refused', reason: 'sessionExpired' };
    session.acknowledgedBelow = Math.max(session.acknowledgedBelow, command.acknowledgedBelow);
    if (command.number < session.acknowledgedBelow) return { type: 'refused', reason: 'numberForgotten' };
    const known = session.outcomes.get(command.number);
    if (known) return known;
    const outcome = this.#firstOutcome(index, command);
    session.outcomes.set(command.number, outcome);
    return outcome;
  }

  #firstOutcome(index: number, command: Command & { readonly kind: 'put' | 'delete' }): Outcome {
    const key = toByteString(command.key);
    const value = command.kind === 'put' ? command.value : undefined;
    const now = this.#versions.get(key)?.at(-1);
    const revision = now?.value === undefined ? 0 : now.revision;
    if (command.ifRevision !== undefined && command.ifRevision !== revision) return { type: 'conflict', revision };
    if (value !== undefined && this.#full.size > 0) return { type: 'refused', reason: 'noSpace' };
    return this.#change(key, index + 1, value);
  }

  #change(key: string, revision: number, value: Uint8Array | undefined): Outcome {
    const versions = this.#versions.get(key) ?? [...never];
    this.#versions.set(key, versions);
    const existed = versions.at(-1)?.value !== undefined;
    if (value !== undefined || existed) versions.push({ revision, value });
    return value === undefined ? { type: 'deleted', revision, existed } : { type: 'put', revision };
  }
}
