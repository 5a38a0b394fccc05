import * as Args from '@oclif/core/args';
import * as Flags from '@oclif/core/flags';
import { argumentBytes } from '../src/cli/arguments/argument-bytes.ts';
import { consistencyFlag } from '../src/cli/arguments/consistency-flag.ts';
import { ClientCommand } from '../src/cli/client-command.ts';
import { isTerminalOutput, writeOut } from '../src/cli/output.ts';
import { formatPairs, formatPairsJson } from '../src/cli/report/listing.ts';
import { KvError } from '../src/client/call/errors.ts';
import type { KvClient } from '../src/client/client.ts';
import type { Bytes } from '../src/client/input.ts';
import type { ListOptions } from '../src/client/options.ts';

export default class List extends ClientCommand {
  static override summary = 'Print the keys, or those that begin with PREFIX.';
  static override description =
    'One key a line, in byte order; with --values also a tab and the value. Up to 100,000 keys, or 256 MiB, are as they were at one moment (with --limit, ' +
    'or --consistency local, up to 10,000, or 4 MiB); of more, each is as it was at some moment. On a terminal, control characters are shown as ' +
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
      const pairs = await pairsOf(client, prefix, { ...options, limit });
      const chunks = flags.json ? formatPairsJson(pairs, isTerminalOutput()) : formatPairs(pairs, format);
      for await (const chunk of chunks) await writeOut(chunk);
    });
  }
}

/** Page by page where they are too many to be gathered. */
async function pairsOf(client: KvClient, prefix: Bytes, options: ListOptions) {
  try {
    return await client.list(prefix, options);
  } catch (error) {
    if (!(error instanceof KvError) || error.code !== 'tooLarge' || options.limit !== undefined) throw error;
    const { timeoutMs, consistency } = options;
    return client.scan(prefix, { timeoutMs, consistency });
  }
}
