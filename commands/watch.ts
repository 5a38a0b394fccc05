import * as Args from '@oclif/core/args';
import * as Flags from '@oclif/core/flags';
import { argumentBytes } from '../src/cli/arguments/argument-bytes.ts';
import { type CommandWords, splitCommand } from '../src/cli/child/child-command.ts';
import { runOnChange } from '../src/cli/child/run-on-change.ts';
import { ClientCommand, type Session } from '../src/cli/client-command.ts';
import { isTerminalOutput, printJsonLine, writeOut } from '../src/cli/output.ts';
import { type Change, changeJson, formatChange } from '../src/cli/report/changes.ts';
import type { KvClient } from '../src/client/client.ts';
import { checkedKey, checkedPrefix } from '../src/client/input.ts';
import type { WatchOptions } from '../src/client/options.ts';
import { InputError } from '../src/cluster/input-error.ts';

/** How long no node may answer. A cluster file's time is that of a request. */
const timeoutMsDefault = 60_000;
const usage = 'kv watch KEY [--prefix] [--changes] [--count COUNT] [-- COMMAND [ARGUMENT…]]';

export default class Watch extends ClientCommand {
  static override summary =
    'Print a key, or all with a prefix, and each change from then on; or run a command for each.';
  static override description =
    'One change a line: "put", the key and the value, or "delete" and the key, with tabs between. The first lines are what is there now ("delete" for ' +
    'a KEY that does not exist); --changes leaves them out. A key is told as it is: of values that follow each other quickly some are passed ' +
    'over, the last one never. It goes from node to node by itself, and ends when it is stopped, or when no node answered for --timeout (one minute). ' +
    'On a terminal, control characters are shown as \\n, \\t, \\xHH; elsewhere bytes are written as they are (--json is exact in any case). ' +
    'A COMMAND is run instead of each line, one at a time: it gets the value as it is on its standard input (nothing for a delete), and in its environment KV_WATCH_TYPE (put or delete), ' +
    'KV_WATCH_KEY (KV_WATCH_KEY_BASE64 where the key is no text) and KV_WATCH_REVISION (not for a KEY that did not exist at the beginning). What changes while it runs comes as it is then. Where it fails, this ends with its exit code.';
  static override examples = [
    '<%= config.bin %> watch leader',
    '<%= config.bin %> watch service/ --prefix --json',
    '<%= config.bin %> watch leader | while IFS=$\'\\t\' read -r what key value; do echo "$value leads"; done',
    '<%= config.bin %> watch deployed --changes --count 1   # waits for the next change',
    "<%= config.bin %> watch site/config -- sh -c 'cat > site.conf && ./reload'",
  ];
  static override args = {
    key: Args.string({
      ignoreStdin: true,
      description: 'key, 1 to 1024 bytes; with --prefix what the keys begin with',
    }),
  };
  static override usage =
    'watch KEY [--prefix] [--changes] [--count COUNT] [--config FILE] [--endpoints HOST:PORT,…] [-- COMMAND [ARGUMENT…]]';
  static override flags = {
    prefix: Flags.boolean({ description: 'all keys that begin with KEY' }),
    changes: Flags.boolean({ description: 'changes only, not what is there at the beginning' }),
    count: Flags.integer({ min: 1, helpValue: 'COUNT', description: 'end after COUNT changes' }),
  };

  override async run(): Promise<void> {
    const { own, command: words } = splitCommand(this.argv, usage);
    const { args, flags } = await this.parse(Watch, own);
    const { text, command } = args.key === undefined ? keyBehindDashes(words) : { text: args.key, command: words };
    if (command !== undefined && flags.json)
      throw new InputError('a COMMAND is run instead of what --json would print: leave one of them out');
    const bytes = argumentBytes(text, flags.prefix ? 'PREFIX' : 'KEY');
    const key = flags.prefix ? checkedPrefix(bytes) : checkedKey(bytes);
    const format = { isJson: flags.json, isTerminal: isTerminalOutput() };
    const run = async ({ client, timeoutMs }: Session) => {
      const limits = { timeoutMs: flags.timeout === undefined ? timeoutMsDefault : timeoutMs };
      const watch = (options: WatchOptions) => {
        const batches = flags.prefix ? client.watchPrefix(key, options) : changesOf(client, key, options);
        return chosen(batches, flags.changes, flags.count ?? Number.POSITIVE_INFINITY);
      };
      if (command === undefined) for await (const change of watch(limits)) await print(change, format);
      else process.exitCode = await runOnChange((signal) => watch({ ...limits, signal }), command);
    };
    await this.withClient(flags, run, timeoutMsDefault);
  }
}

/** As everywhere, a KEY may stand behind a `--`, since it begins with a dash; and the COMMAND then behind another. */
function keyBehindDashes(words: CommandWords | undefined): { text: string; command: CommandWords | undefined } {
  const [text, dashes, ...rest] = words ?? [];
  if (text === undefined || (dashes !== undefined && dashes !== '--'))
    throw new InputError(`the KEY is missing: ${usage}`);
  return { text, command: dashes === undefined ? undefined : splitCommand([dashes, ...rest], usage).command };
}

/** One change after the other, at most `count`; without the first batch, which is what is there at the beginning, if `isLaterOnly`. */
async function* chosen(batches: AsyncIterable<Change[]>, isLaterOnly: boolean, count: number): AsyncGenerator<Change> {
  let left = count;
  let isPassedOver = isLaterOnly;
  for await (const batch of batches) {
    for (const change of isPassedOver ? [] : batch) {
      yield change;
      left--;
      if (left <= 0) return;
    }
    isPassedOver = false;
  }
}

/** One key's, in the form of those of many. */
async function* changesOf(client: KvClient, key: Uint8Array, options: WatchOptions): AsyncGenerator<Change[]> {
  for await (const change of client.watchKey(key, options)) yield [change ?? { type: 'delete', key }];
}

/** How changes are written. */
interface Format {
  readonly isJson: boolean;
  readonly isTerminal: boolean;
}

function print(change: Change, { isJson, isTerminal }: Format): Promise<void> {
  return isJson ? printJsonLine(changeJson(change)) : writeOut(formatChange(change, isTerminal));
}
