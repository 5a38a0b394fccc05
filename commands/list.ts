import * as Args from '@oclif/core/args';
import * as Flags from '@oclif/core/flags';
import { argumentBytes } from '../src/cli/arguments/argument-bytes.ts';
import { consistencyFlag } from '../src/cli/arguments/consistency-flag.ts';
import { ClientCommand } from '../src/cli/client-command.ts';
import { isTerminalOutput, printJson, writeOut } from '../src/cli/output.ts';
import { formatPairs, pairJson } from '../src/cli/report/listing.ts';

export default class List extends ClientCommand {
  static override summary = 'Print the keys, or those that begin with PREFIX.';
  static override description =
    'One key a line, in byte order; with --values also a tab and the value. On a terminal, control characters are shown as ' +
    '\\n, \\t, \\xHH; elsewhere bytes are written as they are (--json is exact in any case).';
  static override examples = [
    '<%= config.bin %> list',
    '<%= config.bin %> list user/ --values',
    "<%= config.bin %> list user/ --json | jq -r '.[].key'",
  ];
  static override args = {
    prefix: Args.string({ ignoreStdin: true, description: 'what the keys begin with' }),
  };
  static override flags = {
    values: Flags.boolean({ description: 'print a tab and the value after each key' }),
    limit: Flags.integer({ min: 1, helpValue: 'COUNT', description: 'print the first COUNT keys only' }),
    consistency: consistencyFlag,
  };

  override async run(): Promise<void> {
    const { args, flags } = await this.parse(List);
    const prefix = argumentBytes(args.prefix ?? '', 'PREFIX');
    const { limit, consistency } = flags;
    const format = { withValue: flags.values, escape: isTerminalOutput() };
    await this.withClient(flags, async ({ client, timeoutMs }) => {
      const options = { timeoutMs, consistency };
      const listOptions = limit === undefined ? options : { ...options, limit };
      if (flags.json) return printJson((await client.list(prefix, listOptions)).map(pairJson));
      const pairs = limit === undefined ? client.scan(prefix, options) : await client.list(prefix, listOptions);
      for await (const lines of formatPairs(pairs, format)) await writeOut(lines);
    });
  }
}
