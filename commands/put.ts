import * as Args from '@oclif/core/args';
import * as Flags from '@oclif/core/flags';
import { argumentBytes } from '../src/cli/arguments/argument-bytes.ts';
import { ifRevisionFlag, parseRevision } from '../src/cli/arguments/condition.ts';
import { parseDurationMs } from '../src/cli/arguments/duration.ts';
import { readValue } from '../src/cli/arguments/values.ts';
import { ClientCommand } from '../src/cli/client-command.ts';
import { jsonBytes, printJson, printLine } from '../src/cli/output.ts';
import { checkedKey, ttlMsMax, ttlMsMin } from '../src/client/input.ts';

export default class Put extends ClientCommand {
  static override summary = 'Store a value under a key.';
  static override description =
    'Returns once the value is durable on a majority of the nodes. Prints the revision: the position in the log of this change.';
  static override examples = [
    '<%= config.bin %> put greeting hello',
    '<%= config.bin %> put offset -5',
    '<%= config.bin %> put -- -key -value',
    'gzip -c page.html | <%= config.bin %> put page -',
    '<%= config.bin %> put page --file page.html',
    '<%= config.bin %> put leader "$(hostname)" --if-absent',
    '<%= config.bin %> put greeting hi --if-revision 7',
    '<%= config.bin %> put service/web "$(hostname):80" --ttl 30s   # and kv renew every ten seconds; or see kv keep',
  ];
  static override args = {
    key: Args.string({ required: true, ignoreStdin: true, description: 'key, 1 to 1024 bytes' }),
    value: Args.string({ ignoreStdin: true, description: 'value, up to 1 MiB; - reads standard input' }),
  };
  static override flags = {
    file: Flags.string({ helpValue: 'FILE', description: 'take the value from a file' }),
    'if-absent': Flags.boolean({
      exclusive: ['if-revision'],
      description: 'only if there is no such key; else exit code 4, and nothing is changed',
    }),
    'if-revision': ifRevisionFlag,
    ttl: Flags.string({
      helpValue: 'TIME',
      description:
        'the key goes by itself unless kv renew, or another put, comes within this time: 30s, 10m, 24h, at least 1s',
    }),
  };

  protected override readonly outputHint = ': the change was made all the same';

  override async run(): Promise<void> {
    const { args, flags } = await this.parse(Put);
    const key = checkedKey(argumentBytes(args.key, 'KEY'));
    const value = args.value === undefined ? undefined : argumentBytes(args.value, 'VALUE');
    const bytes = await readValue({ argument: value, file: flags.file, stdin: process.stdin });
    const ifRevision = flags['if-absent'] ? 0 : parseRevision(flags['if-revision']);
    const ttlMs = flags.ttl === undefined ? undefined : parseDurationMs(flags.ttl, '--ttl', ttlMsMin, ttlMsMax);
    const conditions = { ...(ifRevision !== undefined && { ifRevision }), ...(ttlMs !== undefined && { ttlMs }) };
    const { revision } = await this.withClient(flags, ({ client, timeLeft }) =>
      client.put(key, bytes, { ...timeLeft(), ...conditions }),
    );
    await (flags.json ? printJson({ ...jsonBytes('key', key), revision }) : printLine(`revision ${revision}`));
  }
}
