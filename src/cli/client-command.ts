import * as Flags from '@oclif/core/flags';
import type { KvClient } from '../client/client.ts';
import { type PartOptions, toldTimeout } from '../client/options.ts';
import type { ClusterDescription } from '../cluster/cluster-file.ts';
import type { TlsIdentity } from '../tls/identity.ts';
import { type TlsSources, tlsEnvironment, tlsFlags } from './arguments/tls-flags.ts';
import { BaseCommand } from './base-command.ts';
import { defaultTimeoutMs, resolveConnection } from './connection.ts';
import { printMessage } from './output.ts';
import { renewTls } from './tls-renewal.ts';

/** The flags of every command that asks a cluster something. */
export type ClientFlags = TlsSources['flags'] & {
  readonly config?: string | undefined;
  readonly endpoints?: string | undefined;
  readonly timeout?: string | undefined;
};

/** What a command works with while it is connected. */
export interface Session {
  readonly client: KvClient;
  readonly cluster: ClusterDescription;
  /** The time that the command has, milliseconds: for what a person was asked about first. */
  readonly timeoutMs: number;
  /** For a call: what is left of the time that the command has, at least 1 ms. Its errors tell all of that time, as it was given. */
  timeLeft(): PartOptions;
  /** Another client, as for a command that is called anew: the cluster at these addresses may be another one by now. Closed with the command. */
  connectAnew(): Promise<KvClient>;
}

/** A command that asks a cluster: `--endpoints`, `--timeout`, `--json`. */
export abstract class ClientCommand extends BaseCommand {
  static override baseFlags = {
    ...BaseCommand.baseFlags,
    endpoints: Flags.string({
      helpValue: 'HOST:PORT,…',
      description: 'nodes to ask; else KV_ENDPOINTS, else those of the cluster file, else 127.0.0.1:7001 to 7003',
    }),
    timeout: Flags.string({ helpValue: 'TIME', description: 'how long to wait: 500ms, 5s, 2m, or seconds' }),
    ...tlsFlags,
    json: Flags.boolean({ description: 'write the result, or {"error": …}, to standard output as JSON' }),
  };

  /** How long to wait where neither `--timeout` nor the cluster file says. */
  protected readonly fallbackTimeoutMs: number = defaultTimeoutMs;

  /**
   * Connects, runs `use`, and closes the connection whatever happens. One deadline spans all of it, unless `connectMs` says for how long a command that may
   * wait for longer tries to connect where `--timeout` does not.
   */
  protected async withClient<Result>(
    flags: ClientFlags,
    use: (session: Session) => Promise<Result>,
    connectMs?: number,
  ): Promise<Result> {
    const cluster = this.findCluster(flags);
    const { endpoints, timeoutMs, clusterName, tls } = resolveConnection({
      flags,
      environment: { KV_ENDPOINTS: process.env['KV_ENDPOINTS'], ...tlsEnvironment() },
      cluster,
      fallbackTimeoutMs: this.fallbackTimeoutMs,
    });
    const deadlineMs = performance.now() + timeoutMs;
    const { KvClient } = await import('../client/client.ts');
    const clients: KvClient[] = [];
    let shown = tls?.shown;
    const patience = { timeoutMs: flags.timeout === undefined ? (connectMs ?? timeoutMs) : timeoutMs };
    const connect = async () => {
      const options = { endpoints: [...endpoints], timeoutMs, clusterName, tls: shown };
      const client = await KvClient.connect(options, patience);
      clients.push(client);
      return client;
    };
    const client = await connect();
    const onRenewed = (renewed: TlsIdentity) => {
      shown = renewed;
      for (const one of clients) one.renewTls(renewed);
    };
    const endRenewal =
      tls &&
      renewTls(tls, { renewTls: onRenewed }, (level, message, fields) => {
        if (level === 'warn') printMessage(`${message}: ${fields?.['reason']}`);
      });
    try {
      return await use({
        client,
        cluster,
        timeoutMs,
        timeLeft: () => ({
          timeoutMs: Math.max(1, Math.ceil(deadlineMs - performance.now())),
          [toldTimeout]: timeoutMs,
        }),
        connectAnew: connect,
      });
    } finally {
      endRenewal?.();
      await Promise.all(clients.map((one) => one.close()));
    }
  }
}
