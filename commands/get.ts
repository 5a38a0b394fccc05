import * as Args from '@oclif/core/args';
import * as Flags from '@oclif/core/flags';
import { argumentBytes } from '../src/cli/arguments/argument-bytes.ts';
import { consistencyFlag } from '../src/cli/arguments/consistency-flag.ts';
import { ClientCommand } from '../src/cli/client-command.ts';
import { jsonBytes, printJson, writeOut } from '../src/cli/output.ts';
import { keyNotFound } from '../src/cli/report/key-not-found.ts';
import { checkedKey } from '../src/client/input.ts';

export default class Get extends ClientCommand {
  static override summary = 'Print the value of a key.';
  static override description =
    "Writes the value's bytes and one newline to standard output, and nothing else. Exits with 3 if there is no such key.";
  static override examples = [
    '<%= config.bin %> get greeting',
    '<%= config.bin %> get page --raw > page.html',
    '<%= config.bin %> get greeting --json',
  ];
  static override args = {
    key: Args.string({ required: true, ignoreStdin: true, description: 'key, 1 to 1024 bytes' }),
  };
  static override flags = {
    raw: Flags.boolean({ description: 'write no newline after the value' }),
    consistency: consistencyFlag,
  };

  override async run(): Promise<void> {
    const { args, flags } = await this.parse(Get);
    const key = checkedKey(argumentBytes(args.key, 'KEY'));
    const { consistency } = flags;
    const found = await this.withClient(flags, ({ client, timeLeft }) =>
      client.get(key, { consistency, ...timeLeft() }),
    );
    if (found === undefined) throw keyNotFound(key);
    const { value, revision } = found;
    if (flags.json) return printJson({ ...jsonBytes('key', key), revision, ...jsonBytes('value', value) });
    await writeOut(value);
    if (!flags.raw) await writeOut('\n');
  }
}
