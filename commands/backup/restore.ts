import * as Args from '@oclif/core/args';
import * as Flags from '@oclif/core/flags';
import { aboveFlag } from '../../src/cli/arguments/above-flag.ts';
import { fileProblem, refuseStandardInput } from '../../src/cli/arguments/file-problem.ts';
import { BaseCommand } from '../../src/cli/base-command.ts';
import { LiveLine } from '../../src/cli/live-line.ts';
import { printJson, printLine } from '../../src/cli/output.ts';
import { backupJson, size } from '../../src/cli/report/backup-report.ts';
import { countOf } from '../../src/cli/report/numbers.ts';
import { nextSteps, planFirstMember } from '../../src/cli/start/next-steps.ts';
import { parseNodeId } from '../../src/cluster/node-list.ts';

export default class BackupRestore extends BaseCommand {
  static override summary = 'Make a data directory from a backup, for a new cluster.';
  static override description =
    'The new cluster has an id of its own, and its revisions go on far above all of the old one. One of its first members is ' +
    'enough: the others begin empty and fetch the data. Restoring the same file on several saves them that. The file is checked ' +
    'as a whole before anything is written, and a directory that holds anything is refused.';
  static override examples = [
    '<%= config.bin %> backup restore monday.kvbackup --id 1',
    '<%= config.bin %> backup restore monday.kvbackup --id 1 --data /var/lib/kv',
  ];
  static override args = {
    file: Args.string({ required: true, ignoreStdin: true, description: 'a file that kv backup save wrote' }),
  };
  static override flags = {
    id: Flags.string({ required: true, helpValue: 'N', description: 'which node the directory is for' }),
    data: Flags.string({ helpValue: 'DIR', description: 'directory to make; else where kv start looks for it' }),
    again: Flags.integer({
      min: 0,
      max: 1000,
      default: 0,
      helpValue: 'TIMES',
      description:
        'how often a cluster was made of backups of that cluster before, so that no revision of those comes again',
    }),
    above: aboveFlag,
    json: Flags.boolean({ description: 'write the result, or {"error": …}, to standard output as JSON' }),
  };

  override async run(): Promise<void> {
    const { args, flags } = await this.parse(BackupRestore);
    refuseStandardInput(args.file);
    const cluster = this.findCluster(flags);
    const member = planFirstMember(parseNodeId(flags.id, '--id'), flags.data, cluster, process.cwd());
    const { restoreBackup } = await import('../../src/backup/restore.ts');
    const plan = { ...member, file: args.file, clusterName: cluster.name, again: flags.again, above: flags.above };
    const live = new LiveLine();
    const { backup, origin } = await restoreBackup(plan, (read, all) => live.show(`${size(read)} of ${size(all)}`))
      .catch((error: unknown) => {
        throw fileProblem(args.file, error);
      })
      .finally(() => live.clear());
    if (flags.json) {
      const { nodeId, directory } = member;
      return printJson({ node: nodeId, directory, firstRevision: origin.index + 1, backup: backupJson(backup) });
    }
    const { pairs, index, clusterId } = backup;
    await printLine(
      `restored ${countOf(pairs, 'key')} as of revision ${index} of cluster ${clusterId} into ${member.directory}`,
    );
    await printLine(`a new cluster begins with them; its first revision is ${origin.index + 1}`);
    for (const line of nextSteps(member, cluster, process.cwd())) await printLine(line);
  }
}
