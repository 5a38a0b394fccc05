import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as Flags from '@oclif/core/flags';
import { resolveTlsFiles, tlsEnvironment } from '../src/cli/arguments/tls-flags.ts';
import { BaseCommand } from '../src/cli/base-command.ts';
import { exitAfterStop } from '../src/cli/child/stop-signals.ts';
import { runLocalCluster } from '../src/cli/local-cluster/run-local-cluster.ts';
import { planUp } from '../src/cli/local-cluster/up-plan.ts';
import { readTlsFiles } from '../src/tls/files.ts';
import { membersMax } from '../src/wire/limits.ts';

export default class Up extends BaseCommand {
  static override summary = 'Run a whole cluster on this machine, in this terminal.';
  static override description =
    'Starts each node as a process of its own, with kv start, and prints what they say. Ctrl-C stops all of them cleanly. A ' +
    'node that dies is reported and not restarted: the others go on, and kv start --id N brings it back.';
  static override examples = ['<%= config.bin %> up', '<%= config.bin %> up --nodes 5 --data /tmp/five'];
  static override flags = {
    nodes: Flags.integer({ helpValue: 'COUNT', description: 'how many nodes; 3 unless a cluster file says otherwise' }),
    data: Flags.string({
      helpValue: 'DIR',
      description: 'holds one directory per node; else kv-data beside a kv.json that was found, or here',
    }),
  };
  // Not strict: else oclif takes a stray argument for the name of another command. The base command refuses it.
  static override strict = false;
  protected override readonly onOutputError = 'ignore';

  override async run(): Promise<void> {
    const { flags } = await this.parse(Up);
    const plan = planUp(flags, this.findCluster(flags), process.cwd(), membersMax);
    if (plan.configText !== undefined) {
      mkdirSync(plan.dataFolder, { recursive: true });
      writeFileSync(plan.configPath, plan.configText);
    }
    const tlsFiles = resolveTlsFiles({ flags: {}, environment: tlsEnvironment(), cluster: plan.cluster });
    const tls = tlsFiles && readTlsFiles(tlsFiles, 'client');
    const launcher = [process.execPath, join(this.config.root, 'bin', 'kv.js')] as const;
    exitAfterStop(await runLocalCluster(plan, tls, launcher));
  }
}
