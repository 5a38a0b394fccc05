import * as Args from '@oclif/core/args';
import { argumentBytes } from '../src/cli/argument-bytes.ts';
import { ClientCommand } from '../src/cli/client-command.ts';
import { ifRevisionFlag, parseRevision } from '../src/cli/condition.ts';
import { keyNotFound } from '../src/cli/key-not-found.ts';
import { jsonBytes, printJson, printLine } from '../src/cli/output.ts';
import { checkedKey } from '../src/client/input.ts';

export default class Delete extends ClientCommand {
  static override summary = 'Delete a key.';
  static override description =
    'Exits with 3 if there was no such key, and with 4 if it is not at the revision that was asked for.';
  static override examples = ['<%= config.bin %> delete greeting', '<%= config.bin %> delete leader --if-revision 7'];
  static override args = {
    key: Args.string({ required: true, ignoreStdin: true, description: 'key, 1 to 1024 bytes' }),
  };
  static override flags = { 'if-revision': ifRevisionFlag };

  protected override readonly outputHint = ': the change was made all the same';

  override async run(): Promise<void> {
    const { args, flags } = await this.parse(Delete);
    const key = checkedKey(argumentBytes(args.key, 'KEY'));
    const ifRevision = parseRevision(flags['if-revision']);
    const { existed, revision } = await this.withClient(flags, ({ client, timeLeftMs }) =>
      client.delete(key, { timeoutMs: timeLeftMs(), ...(ifRevision !== undefined && { ifRevision }) }),
    );
    if (!existed) throw keyNotFound(key);
    await (flags.json ? printJson({ ...jsonBytes('key', key), revision }) : printLine(`revision ${revision}`));
  }
}
