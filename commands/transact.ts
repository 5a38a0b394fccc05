import * as Args from '@oclif/core/args';
import * as Flags from '@oclif/core/flags';
import { parseTransaction } from '../src/cli/arguments/transaction.ts';
import { readDocument } from '../src/cli/arguments/values.ts';
import { ClientCommand } from '../src/cli/client-command.ts';
import { printJson, printLine } from '../src/cli/output.ts';
import { checkedTransaction } from '../src/client/keys/transaction.ts';

export default class Transact extends ClientCommand {
  static override summary = 'Change several keys, all of them or none.';
  static override description =
    'Prints the revision, which is that of all changes. Exits with 4, and nothing is changed, where a condition does not hold. ' +
    'FILE, or - for standard input, has more of the same as JSON: {"if": [{"key": "k", "revision": 7}], "do": [{"put": "k", "value": "v"}, {"delete": "l"}]}, ' +
    'with keyBase64, putBase64, valueBase64 and deleteBase64 for bytes that are no UTF-8. At most 128 conditions, 128 changes, each of another key, and 1 MiB in all.';
  static override examples = [
    '<%= config.bin %> transact --put site/color=green --put site/size=large --delete site/old',
    '<%= config.bin %> transact --if leader=12 --put site/color=green   # only if that leader leads',
    '<%= config.bin %> transact --if "$KV_LOCK_KEY=$KV_LOCK_REVISION" --put site/color=green   # by what kv lock runs',
    '<%= config.bin %> transact --if job/7=0 changes.json',
  ];
  static override args = {
    file: Args.string({
      ignoreStdin: true,
      description: 'a JSON document with conditions and changes; - for standard input',
    }),
  };
  static override flags = {
    if: Flags.string({
      ...{ multiple: true, multipleNonGreedy: true, helpValue: 'KEY=REVISION' },
      description: 'only if the key, which may be another one, is at this revision; 0: only if there is no such key',
    }),
    put: Flags.string({
      ...{ multiple: true, multipleNonGreedy: true, helpValue: 'KEY=VALUE' },
      description: 'store the value under the key, which has no = in it (one that has goes into FILE)',
    }),
    delete: Flags.string({
      ...{ multiple: true, multipleNonGreedy: true, helpValue: 'KEY' },
      description: 'delete the key, which need not exist',
    }),
  };

  protected override readonly outputHint = ': the changes were made all the same';

  override async run(): Promise<void> {
    const { args, flags } = await this.parse(Transact);
    const document = args.file === undefined ? undefined : await readDocument(args.file, process.stdin);
    const { if: ifs = [], put = [], delete: deletes = [] } = flags;
    const transaction = parseTransaction({ if: ifs, put, delete: deletes, document });
    // Before anybody is asked.
    checkedTransaction(transaction);
    const { revision } = await this.withClient(flags, ({ client, timeLeft }) =>
      client.transact(transaction, timeLeft()),
    );
    await (flags.json ? printJson({ revision }) : printLine(`revision ${revision}`));
  }
}
