import * as Args from '@oclif/core/args';
import * as Flags from '@oclif/core/flags';
import { argumentBytes } from '../src/cli/arguments/argument-bytes.ts';
import { ClientCommand } from '../src/cli/client-command.ts';
import { isTerminalOutput, printJsonLine, writeOut } from '../src/cli/output.ts';
import { type Change, changeJson, formatChange } from '../src/cli/report/changes.ts';
import type { KvClient, WatchOptions } from '../src/client/client.ts';
import { checkedKey, checkedPrefix } from '../src/client/input.ts';

/** How long no node may answer. A cluster file's time is that of a request. */
const timeoutMsDefault = 60_000;

export default class Watch extends ClientCommand {
  static override summary = 'Print a key, or all with a prefix, and each change from then on.';
  static override description =
    'One change a line: "put", the key and the value, or "delete" and the key, with tabs between. The first lines are what is there now ("delete" for ' +
    'a KEY that does not exist); --changes leaves them out. A key is told as it is: of values that follow each other quickly some are passed ' +
    'over, the last one never. It goes from node to node by itself, and ends when it is stopped, or when no node answered for --timeout (one minute). ' +
    'On a terminal, control characters are shown as \\n, \\t, \\xHH; elsewhere bytes are written as they are (--json is exact in any case).';
  static override examples = [
    '<%= config.bin %> watch leader',
    '<%= config.bin %> watch service/ --prefix --json',
    '<%= config.bin %> watch leader | while IFS=$\'\\t\' read -r what key value; do echo "$value leads"; done',
    '<%= config.bin %> watch deployed --changes --count 1   # waits for the next change',
  ];
  static override args = {
    key: Args.string({
      required: true,
      ignoreStdin: true,
      description: 'key, 1 to 1024 bytes; with --prefix what the keys begin with',
    }),
  };
  static override flags = {
    prefix: Flags.boolean({ description: 'all keys that begin with KEY' }),
    changes: Flags.boolean({ description: 'changes only, not what is there at the beginning' }),
    count: Flags.integer({ min: 1, helpValue: 'COUNT', description: 'end after COUNT lines' }),
  };

  override async run(): Promise<void> {
    const { args, flags } = await this.parse(Watch);
    const bytes = argumentBytes(args.key, flags.prefix ? 'PREFIX' : 'KEY');
    const key = flags.prefix ? checkedPrefix(bytes) : checkedKey(bytes);
    const format = { isJson: flags.json, isTerminal: isTerminalOutput() };
    await this.withClient(flags, async ({ client, timeoutMs }) => {
      const options = { timeoutMs: flags.timeout === undefined ? timeoutMsDefault : timeoutMs };
      const batches = flags.prefix ? client.watchPrefix(key, options) : changesOf(client, key, options);
      let left = flags.count ?? Number.POSITIVE_INFINITY;
      let isSkipped = flags.changes;
      for await (const batch of batches) {
        const changes = isSkipped ? [] : batch.slice(0, left);
        isSkipped = false;
        for (const change of changes) await print(change, format);
        left -= changes.length;
        if (left <= 0) return;
      }
    });
  }
}

/** One key's, in the form of those of many. */
async function* changesOf(client: KvClient, key: Uint8Array, options: WatchOptions): AsyncGenerator<Change[]> {
  for await (const found of client.watch(key, options)) {
    yield [found === undefined ? { type: 'delete', key } : { type: 'put', key, ...found }];
  }
}

/** How changes are written. */
interface Format {
  readonly isJson: boolean;
  readonly isTerminal: boolean;
}

function print(change: Change, { isJson, isTerminal }: Format): Promise<void> {
  return isJson ? printJsonLine(changeJson(change)) : writeOut(formatChange(change, isTerminal));
}
