import * as Args from '@oclif/core/args';
import * as Flags from '@oclif/core/flags';
import { argumentBytes } from '../src/cli/arguments/argument-bytes.ts';
import { ifRevisionFlag, parseRevision } from '../src/cli/arguments/condition.ts';
import { ClientCommand, type ClientFlags } from '../src/cli/client-command.ts';
import { deletePrefix } from '../src/cli/delete-prefix.ts';
import { CommandError } from '../src/cli/exit-codes.ts';
import { escapeBytes, jsonBytes, printJson, printLine } from '../src/cli/output.ts';
import { keyNotFound } from '../src/cli/report/key-not-found.ts';
import { checkedKey, checkedPrefix } from '../src/client/input.ts';
import { InputError } from '../src/cluster/input-error.ts';

export default class Delete extends ClientCommand {
  static override summary = 'Delete a key, or all with a prefix.';
  static override description =
    'Exits with 3 if there was no such key, and with 4 if it is not at the revision that was asked for. With --prefix keys go 128 at a moment, ' +
    'those that came while it ran maybe not.';
  static override examples = [
    '<%= config.bin %> delete greeting',
    '<%= config.bin %> delete leader --if-revision 7',
    '<%= config.bin %> delete user/ --prefix',
  ];
  static override args = {
    key: Args.string({
      required: true,
      ignoreStdin: true,
      description: 'key, 1 to 1024 bytes; with --prefix what the keys begin with',
    }),
  };
  static override flags = {
    'if-revision': ifRevisionFlag,
    prefix: Flags.boolean({ exclusive: ['if-revision'], description: 'all keys that begin with KEY' }),
  };

  protected override readonly outputHint = ': the change was made all the same';

  override async run(): Promise<void> {
    const { args, flags } = await this.parse(Delete);
    if (flags.prefix) return this.#deletePrefix(prefixIn(args.key), flags);
    const key = checkedKey(argumentBytes(args.key, 'KEY'));
    const ifRevision = parseRevision(flags['if-revision']);
    const { existed, revision } = await this.withClient(flags, ({ client, timeLeft }) =>
      client.delete(key, { ...timeLeft(), ...(ifRevision !== undefined && { ifRevision }) }),
    );
    if (!existed) throw keyNotFound(key);
    await (flags.json ? printJson({ ...jsonBytes('key', key), revision }) : printLine(`revision ${revision}`));
  }

  async #deletePrefix(prefix: Uint8Array, flags: ClientFlags & { readonly json: boolean }): Promise<void> {
    const deleted = await this.withClient(flags, ({ client, timeoutMs }) =>
      deletePrefix(client, prefix, { timeoutMs }),
    );
    if (deleted === 0) throw new CommandError('notFound', 'notFound', `no key begins with ${escapeBytes(prefix)}`);
    const json = { ...jsonBytes('prefix', prefix), deleted };
    await (flags.json ? printJson(json) : printLine(`${deleted} ${deleted === 1 ? 'key' : 'keys'} deleted`));
  }
}

function prefixIn(text: string): Uint8Array {
  if (text === '') throw new InputError('the PREFIX is empty, and all keys begin with that: name what is to go');
  return checkedPrefix(argumentBytes(text, 'PREFIX'));
}
