import { existsSync } from 'node:fs';
import { format } from 'node:util';
import * as Flags from '@oclif/core/flags';
import { resolveTlsFiles, tlsEnvironment, tlsFlags } from '../src/cli/arguments/tls-flags.ts';
import { BaseCommand } from '../src/cli/base-command.ts';
import { exitAfterStop, ignoreUserSignals, standardInputEnded, stopRequested } from '../src/cli/child/stop-signals.ts';
import { printLine, printMessage } from '../src/cli/output.ts';
import { DamagedNodeError, isDamage, rebuildRemedy } from '../src/cli/report/damage-remedy.ts';
import { formatLogLine, type LogLevel, logLevels } from '../src/cli/report/log-line.ts';
import { describeSetAside } from '../src/cli/start/set-aside-report.ts';
import { planStart } from '../src/cli/start/start-plan.ts';
import { renewTls } from '../src/cli/tls-renewal.ts';
import { OwnProcess } from '../src/host/own-process.ts';
import { readTlsFiles } from '../src/tls/files.ts';

export default class Start extends BaseCommand {
  static override summary = 'Run one node.';
  static override description =
    'Without a cluster file, the cluster is the nodes 1, 2 and 3 on 127.0.0.1:7001 to 7003; any other node N listens on port ' +
    '7000 + N and stands by until kv member add takes it in. The data goes to kv-data/node-N beside the cluster file, if one was found at or above the working directory, else here. ' +
    'SIGINT and SIGTERM stop the node cleanly; a second one ends it at once.';
  static override examples = [
    '<%= config.bin %> start --id 1',
    '<%= config.bin %> start --id 4 --address 127.0.0.1:7104 --data /var/lib/kv',
    '<%= config.bin %> start --id 2 --rebuild',
  ];
  static override flags = {
    id: Flags.string({ required: true, helpValue: 'N', description: 'which node this is' }),
    data: Flags.string({ helpValue: 'DIR', description: 'directory of its data; else kv-data/node-N, see above' }),
    address: Flags.string({
      helpValue: 'HOST:PORT',
      description: 'where to listen, for a node outside the cluster file',
    }),
    quota: Flags.string({ helpValue: 'SIZE', description: 'most bytes of data, such as 8GiB; else what the disk has' }),
    ...tlsFlags,
    insecure: Flags.boolean({ description: 'listen on an address that other machines can reach, without TLS' }),
    'election-timeout': Flags.string({ helpValue: 'TIME', description: 'replace a leader unheard for this long' }),
    rebuild: Flags.boolean({
      description: 'set a damaged data directory aside and stand by with an empty one for kv member rebuild',
    }),
    existing: Flags.boolean({
      exclusive: ['rebuild'],
      description: 'refuse a directory without data instead of making a new one: its disk may not be mounted',
    }),
    'log-level': Flags.option({
      options: logLevels,
      default: 'info' as const,
      description: 'least level of log lines, which go to standard error',
    })(),
    'stop-with-stdin': Flags.boolean({ hidden: true, description: 'stop when standard input ends (kv up)' }),
  };
  // Not strict: else oclif takes a stray argument for the name of another command. The base command refuses it.
  static override strict = false;
  protected override readonly onOutputError = 'ignore';
  /** True once there may be files and sockets that keep the process. */
  #mayHoldOpen = false;
  #nodeId: number | undefined;
  /** The cluster file names this node alone. */
  #isAlone = false;

  override async run(): Promise<void> {
    const { flags } = await this.parse(Start);
    const cluster = this.findCluster(flags);
    const tlsFiles = resolveTlsFiles({ flags, environment: tlsEnvironment(), cluster });
    const plan = planStart(flags, cluster, process.cwd(), tlsFiles !== undefined);
    const tls = tlsFiles && readTlsFiles(tlsFiles, 'node');
    this.#nodeId = plan.nodeId;
    this.#isAlone = plan.nodes.size === 1;
    const least = logLevels.indexOf(flags['log-level']);
    const log = (level: LogLevel, message: string, fields?: Readonly<Record<string, unknown>>) => {
      if (logLevels.indexOf(level) >= least)
        printMessage(formatLogLine(new Date(), plan.nodeId, level, message, fields));
    };
    // lmdb prints an error with its stack beside giving it to us, who say it in one line.
    console.error = (...words: unknown[]) => log('debug', format(...words));
    ignoreUserSignals();
    const stop = stopRequested((signal) => log('info', 'stopping', { signal }));
    const ownProcess = new OwnProcess();
    // A node without data is in no hurry until it turns out to be one of a new cluster's first: others may be short of the processor.
    ownProcess.tick(!existsSync(plan.dataDirectory), performance.now());
    const { setAsideBeside, setAsideIfDamaged, startNodeIn } = await import('../src/server.ts');
    this.#mayHoldOpen = true;
    const former = this.#isAlone ? setAsideBeside(plan.dataDirectory) : undefined;
    const standsBy = flags.rebuild || former !== undefined;
    if (former !== undefined && !flags.rebuild) log('warn', standsByFor(former));
    if (flags.rebuild) describeSetAside(plan, await setAsideIfDamaged(plan.dataDirectory, plan), log);
    const node = await startNodeIn(ownProcess, { ...plan, tls, standsBy, existing: flags.existing, log });
    if (tlsFiles !== undefined && tls !== undefined) renewTls({ files: tlsFiles, role: 'node', shown: tls }, node, log);
    await printLine(`node ${plan.nodeId} listens on ${node.address}, data in ${plan.dataDirectory}`);
    const stops = flags['stop-with-stdin'] ? [stop, standardInputEnded()] : [stop];
    const reason = await Promise.race([...stops, node.closed]);
    await node.stop();
    await node.closed;
    // All is durable and closed. Standard input may still keep the process.
    exitAfterStop(reason ?? undefined);
  }

  /** A node that failed is not kept alive by what it left open. */
  protected override async catch(error: Error): Promise<void> {
    const remedy = rebuildRemedy(
      this.#nodeId,
      this.argv.filter((word) => !['--rebuild', '--existing', '--stop-with-stdin'].includes(word)),
      this.#isAlone,
    );
    await super.catch(isDamage(error) ? new DamagedNodeError(error, remedy) : error);
    if (this.#mayHoldOpen) process.exit();
  }
}

function standsByFor(former: string): string {
  return (
    `${former} lies beside the data directory of the only node that the cluster file names: if this one is empty, it stands by and no new ` +
    'cluster begins; to begin one all the same, move that away'
  );
}
