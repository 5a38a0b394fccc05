import * as Args from '@oclif/core/args';
import { argumentBytes } from '../src/cli/arguments/argument-bytes.ts';
import { parseRevision } from '../src/cli/arguments/condition.ts';
import { ClientCommand } from '../src/cli/client-command.ts';
import { jsonBytes, printJson, printLine } from '../src/cli/output.ts';
import { checkedKey, checkedPutRevision } from '../src/client/input.ts';

export default class Renew extends ClientCommand {
  static override summary = 'Let a key that expires stay for its whole time again.';
  static override description =
    'REVISION is what kv put --ttl printed. Exits with 4 if the key has gone, or was put anew: then it is lost to whoever held it.';
  static override examples = ['<%= config.bin %> renew service/web 20'];
  static override args = {
    key: Args.string({ required: true, ignoreStdin: true, description: 'key, 1 to 1024 bytes' }),
    revision: Args.string({ required: true, ignoreStdin: true, description: 'revision of its put' }),
  };

  protected override readonly outputHint = ': it was renewed all the same';

  override async run(): Promise<void> {
    const { args, flags } = await this.parse(Renew);
    const key = checkedKey(argumentBytes(args.key, 'KEY'));
    const revision = checkedPutRevision(parseRevision(args.revision, 'REVISION') ?? 0);
    await this.withClient(flags, ({ client, timeLeft }) => client.renew(key, revision, timeLeft()));
    await (flags.json ? printJson({ ...jsonBytes('key', key), revision }) : printLine(`revision ${revision}`));
  }
}
