import { resolve } from 'node:path';
import * as Flags from '@oclif/core/flags';
import { BaseCommand } from '../src/cli/base-command.ts';
import { printLine } from '../src/cli/output.ts';
import { initAnswers, refuseExisting, writeClusterFile } from '../src/cli/start/init-file.ts';
import { clusterFileName } from '../src/cluster/cluster-file.ts';
import { membersMax } from '../src/wire/limits.ts';

export default class Init extends BaseCommand {
  static override summary = 'Write a cluster file, kv.json.';
  static override description =
    'Asks for what no flag says where there is a terminal; elsewhere takes the defaults: the cluster "kv" of three nodes on ' +
    'this machine. Give every machine the same file.';
  static override examples = [
    '<%= config.bin %> init',
    '<%= config.bin %> init --cluster shop --nodes 1=10.0.0.1:7001,2=10.0.0.2:7001,3=10.0.0.3:7001',
  ];
  static override flags = {
    config: Flags.string({ helpValue: 'FILE', description: 'file to write; else kv.json here' }),
    cluster: Flags.string({ helpValue: 'NAME', description: 'name of the cluster' }),
    nodes: Flags.string({ helpValue: 'LIST', description: '1=host:port,2=host:port,…' }),
    force: Flags.boolean({ default: false, description: 'replace a file that is there already' }),
  };
  // Not strict: else oclif takes a stray argument for the name of another command. The base command refuses it.
  static override strict = false;

  override async run(): Promise<void> {
    const { flags } = await this.parse(Init);
    const path = resolve(flags.config ?? clusterFileName);
    refuseExisting(path, flags.force);
    const answers = await initAnswers(flags, membersMax);
    await writeClusterFile(path, answers, flags.force);
    await printLine(`wrote ${path}: cluster ${answers.name}, nodes ${[...answers.nodes.keys()].join(', ')}`);
  }
}
