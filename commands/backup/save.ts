import * as Args from '@oclif/core/args';
import * as Flags from '@oclif/core/flags';
import { ClientCommand, type ClientFlags } from '../../src/cli/client-command.ts';
import { CommandError } from '../../src/cli/exit-codes.ts';
import { LiveLine } from '../../src/cli/live-line.ts';
import { isReaderGone, isTerminalOutput, printJson, printLine, printMessage, writeOut } from '../../src/cli/output.ts';
import { backupJson, size } from '../../src/cli/report/backup-report.ts';
import { countOf } from '../../src/cli/report/numbers.ts';
import { InputError } from '../../src/cluster/input-error.ts';

const progressIntervalMs = 100;

export default class BackupSave extends ClientCommand {
  static override summary = 'Save all keys to a file, while the cluster goes on.';
  static override description =
    'Everything that was acknowledged before the command began is in it, and all is of one revision. FILE appears when it is ' +
    'complete and on the disk, and not before; - writes to standard output. Restore it with kv backup restore.';
  static override examples = [
    '<%= config.bin %> backup save monday.kvbackup',
    '<%= config.bin %> backup save - | ssh vault "cat > monday.kvbackup"',
  ];
  static override args = {
    file: Args.string({ required: true, ignoreStdin: true, description: 'file to write, or - for standard output' }),
  };
  static override flags = {
    force: Flags.boolean({ description: 'replace a file that is there already' }),
  };

  // Half a backup is none: whoever reads it must not leave before its end.
  protected override readonly onOutputError = 'reject';

  override async run(): Promise<void> {
    const { args, flags } = await this.parse(BackupSave);
    const { intoNewFile } = await import('../../src/backup/save.ts');
    if (args.file === '-') {
      if (flags.json) throw new InputError('--json and the backup would both go to standard output: give a file');
      if (isTerminalOutput()) throw new InputError('a backup is no text for a terminal: redirect it, or give a file');
    }
    const backup =
      args.file === '-'
        ? await this.#save(flags, writeToReader)
        : await intoNewFile(args.file, flags.force, (sink) => this.#save(flags, sink));
    const { pairs, bytes, index, sha256 } = backup;
    const line = `saved ${countOf(pairs, 'key')} (${size(bytes)}) as of revision ${index}, fingerprint ${sha256.slice(0, 16)}`;
    if (flags.json) await printJson({ file: args.file, ...backupJson(backup) });
    else if (args.file === '-') printMessage(line);
    else await printLine(line);
  }

  async #save(flags: ClientFlags, sink: (bytes: Uint8Array) => Promise<void>) {
    const { writeBackup } = await import('../../src/backup/save.ts');
    const live = new LiveLine();
    let shownMs = 0;
    const onProgress = (pairs: number, bytes: number) => {
      if (performance.now() - shownMs < progressIntervalMs) return;
      shownMs = performance.now();
      live.show(`${countOf(pairs, 'key')}, ${size(bytes)}`);
    };
    return this.withClient(flags, async ({ client, timeoutMs }) => {
      const source = await client.openBackup({ timeoutMs });
      try {
        return await writeBackup(source, sink, onProgress);
      } finally {
        live.clear();
        await source.close();
      }
    });
  }
}

async function writeToReader(bytes: Uint8Array): Promise<void> {
  try {
    await writeOut(bytes);
  } catch (error) {
    const why = isReaderGone(error) ? 'whoever reads it left before its end' : (error as Error).message;
    throw new CommandError('internal', 'outputFailed', `the backup could not be written to standard output: ${why}`);
  }
}
