import * as Args from '@oclif/core/args';
import * as Flags from '@oclif/core/flags';
import { tlsEnvironment } from '../src/cli/arguments/tls-flags.ts';
import { type BenchPlan, benchWorkloads, planBench } from '../src/cli/bench/plan.ts';
import type { BenchResult } from '../src/cli/bench/run.ts';
import { exitAfterStop, stopRequested } from '../src/cli/child/stop-signals.ts';
import { ClientCommand } from '../src/cli/client-command.ts';
import { type Connection, resolveConnection } from '../src/cli/connection.ts';
import { printJson, printLine } from '../src/cli/output.ts';

export default class Bench extends ClientCommand {
  static override summary = 'Put load on a cluster and measure it.';
  static override description =
    'Writes keys that begin with "bench/" and leaves them there. A closed loop keeps so many operations in flight; with --rate ' +
    'operations begin at that rate instead, and their latency counts from when they should have begun, so that a stall of ' +
    'the cluster shows in full. get and mix first put every key once. --timeout is for each operation. Ctrl-C ends the run ' +
    'and prints what was measured so far; a second one ends it at once.';
  static override examples = [
    '<%= config.bin %> bench put --outstanding 256',
    '<%= config.bin %> bench get --consistency local --duration 30s',
    '<%= config.bin %> bench mix --reads 90 --rate 5000 --json',
  ];
  static override args = {
    workload: Args.string({
      required: true,
      ignoreStdin: true,
      options: [...benchWorkloads],
      description: 'put, get, or a mix of both',
    }),
  };
  static override flags = {
    clients: Flags.string({ helpValue: 'N', description: 'connections, spread over the endpoints; else one to each' }),
    outstanding: Flags.string({ helpValue: 'N', default: '64', description: 'operations in flight, over all clients' }),
    keys: Flags.string({
      helpValue: 'N',
      default: '10000',
      description: 'distinct keys, each as likely as the others',
    }),
    'key-size': Flags.string({ helpValue: 'SIZE', default: '16', description: 'length of a key, bytes' }),
    'value-size': Flags.string({ helpValue: 'SIZE', default: '100', description: 'length of a value: 100, 10KiB' }),
    duration: Flags.string({ helpValue: 'TIME', default: '10s', description: 'how long to measure: 500ms, 10s, 2m' }),
    'warm-up': Flags.string({ helpValue: 'TIME', default: '1s', description: 'how long to run before that' }),
    rate: Flags.string({ helpValue: 'N', description: 'begin so many operations a second (open loop)' }),
    reads: Flags.string({ helpValue: 'PERCENT', default: '50', description: 'share of gets in a mix' }),
    consistency: Flags.option({
      options: ['linearizable', 'local'] as const,
      default: 'linearizable' as const,
      description: 'of gets; local: what the node asked has applied, maybe stale',
    })(),
    fill: Flags.boolean({ default: true, allowNo: true, description: 'put every key before get and mix' }),
  };

  override async run(): Promise<void> {
    const { args, flags } = await this.parse(Bench);
    const { endpoints, timeoutMs, tls } = resolveConnection({
      flags,
      environment: { KV_ENDPOINTS: process.env['KV_ENDPOINTS'], ...tlsEnvironment() },
      cluster: this.findCluster(flags),
    });
    const plan = planBench(args.workload as BenchPlan['workload'], flags, endpoints.length);
    const interruption = new AbortController();
    const stopped = stopRequested((signal) => interruption.abort(signal));
    const result = await this.#measure(plan, { endpoints, timeoutMs, tls }, interruption.signal);
    // Nothing was measured: the failure says more than a table of zeros.
    if (result.total.operations === 0 && result.lastError !== undefined) throw result.lastError;
    const { benchJson, reportLines } = await import('../src/cli/bench/report.ts');
    if (flags.json) await printJson(benchJson(plan, endpoints, result));
    else await printLine(reportLines(plan, result).join('\n'));
    if (result.isInterrupted) exitAfterStop(await stopped);
  }

  async #measure(
    plan: BenchPlan,
    { endpoints, timeoutMs, tls }: Pick<Connection, 'endpoints' | 'timeoutMs' | 'tls'>,
    signal: AbortSignal,
  ): Promise<BenchResult> {
    // Loaded here, so that no other command, nor --help, pays for it.
    const { runBench } = await import('../src/cli/bench/run.ts');
    const { KvClient } = await import('../src/client/client.ts');
    const { progressLine } = await import('../src/cli/bench/progress-line.ts');
    const { LiveLine } = await import('../src/cli/live-line.ts');
    const options = { timeoutMs, outstandingWritesMax: 4096, ...(tls !== undefined && { tls: tls.shown }) };
    const line = new LiveLine();
    try {
      return await runBench(plan, {
        endpoints,
        connect: (own) => KvClient.connect({ ...options, endpoints: own }),
        signal,
        onProgress: (progress) => line.show(progressLine(progress)),
      });
    } finally {
      line.clear();
    }
  }
}
