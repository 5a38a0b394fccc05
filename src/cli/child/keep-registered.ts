import { setTimeout as delay } from 'node:timers/promises';
import { KvError, type KvErrorCode } from '../../client/call/errors.ts';
import type { KvClient } from '../../client/client.ts';
import type { KeptKey } from '../../client/keys/kept-key.ts';
import type { KeepOptions, PartOptions } from '../../client/options.ts';
import type { Session } from '../client-command.ts';
import { escapeBytes, printMessage } from '../output.ts';
import { ChildCommand, type CommandWords, codeOfSignal, passedSignals } from './child-command.ts';

/** What is to be there as long as somebody is. */
export interface Registration {
  readonly key: Uint8Array;
  readonly value: Uint8Array | string;
  readonly ttlMs: number;
}

/** Those of a command: the one that it was called with, and another for when the cluster at the same addresses is another one. */
type Clients = Pick<Session, 'client' | 'connectAnew'>;

const title = 'kv keep';
/** Before it is tried again to put a key that was lost. */
const pauseMs = 1000;

/**
 * Puts the key, keeps it there while the command runs, or without one until a signal comes, and removes it. Gives the exit code of the command,
 * as shells do where a signal ended it.
 */
export async function keepRegistered(
  clients: Clients,
  registration: Registration,
  command: CommandWords | undefined,
  timeLeft: PartOptions,
): Promise<number> {
  const asked = new AbortController();
  const onSignal = (signal: NodeJS.Signals) => asked.abort(signal);
  for (const signal of passedSignals) process.on(signal, onSignal);
  const kept = new RegisteredKey(clients, registration);
  try {
    await kept.put({ ...timeLeft, signal: asked.signal });
    if (command === undefined || asked.signal.aborted) return codeOfSignal(await reasonOf(asked.signal));
    return await new ChildCommand(command, title).ended();
  } catch (error) {
    if (error instanceof KvError && error.code === 'aborted') return codeOfSignal(asked.signal.reason);
    throw error;
  } finally {
    await kept.remove();
  }
}

/** The signal that was asked to stop with, once one was. */
async function reasonOf(signal: AbortSignal): Promise<Parameters<typeof codeOfSignal>[0]> {
  if (signal.aborted) return signal.reason;
  // Nothing else need keep this process alive while no node can be reached.
  const timer = setInterval(() => {}, pauseMs);
  await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
  clearInterval(timer);
  return signal.reason;
}

/** A key that is put again where it was lost, as after a while without the cluster; but not in the place of what somebody else has put. */
class RegisteredKey {
  readonly #clients: Clients;
  #client: KvClient;
  readonly #registration: Registration;
  readonly #name: string;
  readonly #removed = new AbortController();
  #held: KeptKey | undefined;
  #puttingAgain: Promise<void> | undefined;
  /** Why it could not be put again the last time. */
  #toldCode: KvErrorCode | undefined;

  constructor(clients: Clients, registration: Registration) {
    this.#clients = clients;
    this.#client = clients.client;
    this.#registration = registration;
    this.#name = escapeBytes(registration.key);
  }

  /** In the place of whatever is there: of one that was killed it still may be. */
  async put(options: PartOptions & { readonly signal: AbortSignal }): Promise<void> {
    this.#hold(await this.#keep(options));
  }

  /** What became of the command is what counts: a key that cannot be removed now goes by itself. */
  async remove(): Promise<void> {
    this.#removed.abort();
    try {
      // What is on its way is not given up: it would stay there for its time.
      await this.#puttingAgain;
      await this.#held?.release();
    } catch (error) {
      if (!(error instanceof KvError)) throw error;
      const { ttlMs } = this.#registration;
      printMessage(
        `${title}: the key ${this.#name} goes by itself in ${ttlMs / 1000} s at the latest: ${error.message}`,
      );
    }
  }

  #keep(options: Omit<KeepOptions, 'ttlMs'>): Promise<KeptKey> {
    const { key, value, ttlMs } = this.#registration;
    return this.#client.keep(key, value, { ...options, ttlMs });
  }

  #hold(held: KeptKey): void {
    this.#held = held;
    const onLost = () => {
      this.#puttingAgain = this.#putAgain(held);
    };
    if (held.lost.aborted) onLost();
    else held.lost.addEventListener('abort', onLost, { once: true });
  }

  async #putAgain(lost: KeptKey): Promise<void> {
    const why = lost.lost.reason instanceof Error ? lost.lost.reason.message : String(lost.lost.reason);
    printMessage(`${title}: the key ${this.#name} was lost, and is put again as soon as that can be done: ${why}`);
    this.#toldCode = undefined;
    while (!this.#removed.signal.aborted) {
      // It may be there still, as it was put; else it has gone, or somebody else's is there.
      const held = (await this.#tryAgain(lost.revision)) ?? (await this.#tryAgain(0));
      if (held !== undefined) {
        printMessage(`${title}: the key ${this.#name} is there again`);
        return this.#hold(held);
      }
      await this.#pause();
    }
  }

  /** Undefined if that could not be done now. */
  async #tryAgain(ifRevision: number): Promise<KeptKey | undefined> {
    try {
      return await this.#keep({ ifRevision });
    } catch (error) {
      if (!(error instanceof KvError)) throw error;
      if (error.code !== 'conflict' || ifRevision === 0) this.#tell(error);
      if (error.code === 'notKvNode') await this.#goToOtherCluster();
      return undefined;
    }
  }

  /** Where all data was restored, or recovered, that is another cluster, and a client is of the one that it has found first. */
  async #goToOtherCluster(): Promise<void> {
    try {
      const next = await this.#clients.connectAnew();
      await this.#client.close();
      this.#client = next;
    } catch (error) {
      if (!(error instanceof KvError)) throw error;
      this.#tell(error);
    }
  }

  /** Each reason once: it is tried every second. */
  #tell({ code, message }: KvError): void {
    if (code === this.#toldCode || this.#removed.signal.aborted) return;
    this.#toldCode = code;
    printMessage(`${title}: the key ${this.#name} cannot be put again now: ${message}`);
  }

  async #pause(): Promise<void> {
    const { signal } = this.#removed;
    try {
      await delay(pauseMs, undefined, { signal });
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }
}
