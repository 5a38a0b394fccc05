import { toByteString } from '../../src/base/bytes.ts';
import { type Command, decodeCommand } from '../../src/kv/command.ts';
import type { Outcome } from '../../src/kv/outcome.ts';
import type { Transaction } from '../../src/kv/transaction.ts';
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

/** A key that expires. */
interface Expiry {
  readonly revision: number;
  readonly ttlMs: number;
  /** Revision of the put, or of the last renewal, and when that was decided. */
  readonly renewedAt: number;
  readonly sinceUs: number;
}

/** A key that has expired, which was put or renewed last at `sinceUs`. */
export interface Expired {
  readonly key: string;
  readonly ttlMs: number;
  readonly sinceUs: number;
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
  readonly #expiries = new Map<string, Expiry>();
  #nowUs = 0;

  get appliedIndex(): number {
    return this.#appliedIndex;
  }

  get keys(): readonly string[] {
    return [...this.#versions.keys()].sort();
  }

  /** The entry that is decided at `nowUs`. Gives the key that expires by it, if one does. */
  apply(entry: Entry<Uint8Array>, nowUs: number): Expired | undefined {
    this.#nowUs = nowUs;
    const index = this.#appliedIndex++;
    if (entry.type === 'StopSign') {
      this.#configurationId = entry.stopSign.configId;
      this.#full.clear();
      return undefined;
    }
    const command = decodeCommand(entry.entry);
    if (command.kind === 'expire') return this.#expire(index + 1, command);
    const id = toByteString(entry.entry);
    const given = this.#outcomes.get(id) ?? [];
    given.push({ index, outcome: this.#outcome(index, command) });
    this.#outcomes.set(id, given);
    return undefined;
  }

  #expire(
    revision: number,
    { key: bytes, ifRevision, renewedAt }: Command & { readonly kind: 'expire' },
  ): Expired | undefined {
    const key = toByteString(bytes);
    const expiry = this.#expiries.get(key);
    if (!expiry || expiry.revision !== ifRevision || expiry.renewedAt !== renewedAt) return undefined;
    this.#change(key, revision, undefined);
    return { key, ttlMs: expiry.ttlMs, sinceUs: expiry.sinceUs };
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

  #outcome(index: number, command: Exclude<Command, { readonly kind: 'expire' }>): Outcome {
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

  #firstOutcome(index: number, command: Command & { readonly kind: 'put' | 'delete' | 'renew' | 'transact' }): Outcome {
    if (command.kind === 'transact') return this.#transact(index + 1, command.transaction);
    const key = toByteString(command.key);
    const value = command.kind === 'put' ? command.value : undefined;
    const revision = this.#revisionOf(key);
    if (command.ifRevision !== undefined && command.ifRevision !== revision) return { type: 'conflict', revision };
    if (command.kind === 'renew') return this.#renew(key, revision, index + 1);
    if (value !== undefined && this.#full.size > 0) return { type: 'refused', reason: 'noSpace' };
    const outcome = this.#change(key, index + 1, value);
    const ttlMs = command.kind === 'put' ? command.ttlMs : undefined;
    if (ttlMs !== undefined) {
      this.#expiries.set(key, { revision: index + 1, ttlMs, renewedAt: index + 1, sinceUs: this.#nowUs });
    }
    return outcome;
  }

  /** 0: there is no such key. */
  #revisionOf(key: string): number {
    const now = this.#versions.get(key)?.at(-1);
    return now?.value === undefined ? 0 : now.revision;
  }

  #transact(revision: number, { conditions, changes }: Transaction): Outcome {
    const found = conditions.map(({ key }) => this.#revisionOf(toByteString(key)));
    const condition = conditions.findIndex(({ ifRevision }, at) => ifRevision !== found[at]);
    if (condition >= 0) return { type: 'unmet', condition, revision: found[condition] as number };
    const values = changes.map((change) => (change.kind === 'put' ? change.value : undefined));
    if (this.#full.size > 0 && values.some((value) => value !== undefined))
      return { type: 'refused', reason: 'noSpace' };
    for (const [at, { key }] of changes.entries()) this.#change(toByteString(key), revision, values[at]);
    return { type: 'transacted', revision };
  }

  #renew(key: string, revision: number, renewedAt: number): Outcome {
    const expiry = this.#expiries.get(key);
    if (expiry) this.#expiries.set(key, { ...expiry, renewedAt, sinceUs: this.#nowUs });
    return { type: 'renewed', revision };
  }

  #change(key: string, revision: number, value: Uint8Array | undefined): Outcome {
    this.#expiries.delete(key);
    const versions = this.#versions.get(key) ?? [...never];
    this.#versions.set(key, versions);
    const existed = versions.at(-1)?.value !== undefined;
    if (value !== undefined || existed) versions.push({ revision, value });
    return value === undefined ? { type: 'deleted', revision, existed } : { type: 'put', revision };
  }
}
