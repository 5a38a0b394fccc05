import * as Args from '@oclif/core/args';
import * as Flags from '@oclif/core/flags';
import { BaseCommand } from '../src/cli/base-command.ts';
import { exitCodes } from '../src/cli/exit-codes.ts';
import { printJson, printLine, printMessage } from '../src/cli/output.ts';
import { rebuildRemedy } from '../src/cli/report/damage-remedy.ts';
import {
  describeContents,
  describeProblems,
  isOnlyUnread,
  verdictOn,
  verifyJson,
} from '../src/cli/report/verify-report.ts';

export default class Verify extends BaseCommand {
  static override summary = "Check a stopped node's data directory.";
  static override description =
    'Reads all of it: who it belongs to, every record of the log, every record of the state, and whether they belong together. ' +
    'Changes nothing. Exits with 0 if it is sound, with 1 if anything is damaged, with 2 if it is no data directory, is in ' +
    'use, or was written by a newer version, and with 9 if the disk could not be read.';
  static override examples = ['<%= config.bin %> verify kv-data/node-1', '<%= config.bin %> verify /var/lib/kv --json'];
  static override args = {
    directory: Args.string({ required: true, ignoreStdin: true, description: 'the data directory' }),
  };
  static override flags = {
    json: Flags.boolean({ description: 'write the result, or {"error": …}, to standard output as JSON' }),
  };

  override async run(): Promise<void> {
    const { args, flags } = await this.parse(Verify);
    const { verifyDirectory } = await import('../src/server.ts');
    const isLive = process.stderr.isTTY === true;
    const found = await verifyDirectory(args.directory, (line) => {
      if (isLive) process.stderr.write(`\r\x1b[K${line}`);
    });
    if (isLive) process.stderr.write('\r\x1b[K');
    if (flags.json) await printJson(verifyJson(found));
    else await printLine([...describeContents(found), verdictOn(found)].join('\n'));
    if (found.isSound) return;
    for (const line of describeProblems(found)) printMessage(line);
    const isAlone = found.configuration === undefined || found.configuration.members.length === 1;
    const first = isOnlyUnread(found) ? 'check the disk; ' : '';
    printMessage(`${first}${rebuildRemedy(found.nodeId, ['--data', found.path], isAlone)}`);
    process.exitCode = exitCodes[isOnlyUnread(found) ? 'diskFailed' : 'internal'].code;
  }
}
