import * as Args from '@oclif/core/args';
import * as Flags from '@oclif/core/flags';
import { fileProblem, refuseStandardInput } from '../../src/cli/arguments/file-problem.ts';
import { BaseCommand } from '../../src/cli/base-command.ts';
import { printJson, printLine } from '../../src/cli/output.ts';
import { backupJson, describeBackup } from '../../src/cli/report/backup-report.ts';

export default class BackupInspect extends BaseCommand {
  static override summary = 'Check a backup, and say what is in it.';
  static override description = 'Reads all of the file. One that was cut off or altered is refused with exit code 2.';
  static override examples = ['<%= config.bin %> backup inspect monday.kvbackup'];
  static override args = {
    file: Args.string({ required: true, ignoreStdin: true, description: 'a file that kv backup save wrote' }),
  };
  static override flags = {
    json: Flags.boolean({ description: 'write the result, or {"error": …}, to standard output as JSON' }),
  };

  override async run(): Promise<void> {
    const { args, flags } = await this.parse(BackupInspect);
    refuseStandardInput(args.file);
    const { verifyBackup } = await import('../../src/backup/backup-reader.ts');
    const backup = await verifyBackup(args.file).catch((error: unknown) => {
      throw fileProblem(args.file, error);
    });
    if (flags.json) return printJson({ file: args.file, ...backupJson(backup) });
    for (const line of describeBackup(backup)) await printLine(line);
  }
}
