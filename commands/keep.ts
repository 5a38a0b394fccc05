import * as Args from '@oclif/core/args';
import * as Flags from '@oclif/core/flags';
import { argumentBytes } from '../src/cli/arguments/argument-bytes.ts';
import { parseDurationMs } from '../src/cli/arguments/duration.ts';
import { splitCommand } from '../src/cli/child/child-command.ts';
import { keepRegistered } from '../src/cli/child/keep-registered.ts';
import { ClientCommand } from '../src/cli/client-command.ts';
import { checkedKey, checkedValue, ttlMsMax, ttlMsMin } from '../src/client/input.ts';

const usage = 'kv keep KEY VALUE [--ttl TIME] [-- COMMAND [ARGUMENT…]]';

export default class Keep extends ClientCommand {
  static override summary = 'Keep a key there while a command runs, or until this is stopped.';
  static override description =
    'For what is true as long as a process lives, such as where a service is. The key is put, in the place of what is there, and renewed; it goes when ' +
    'the command ends, or --ttl after this process has died or lost the cluster. A command goes on then, and the key is put again as soon as that can be done, ' +
    "but not in the place of what somebody else has put meanwhile. The exit code is that of the command. For what only one may do at a time there is 'kv lock'.";
  static override examples = [
    '<%= config.bin %> keep service/web/a 10.0.0.7:80 -- ./web-server',
    '<%= config.bin %> keep host/$(hostname) up --ttl 10s &',
  ];
  static override usage =
    'keep KEY VALUE [--ttl TIME] [--config FILE] [--endpoints HOST:PORT,…] [-- COMMAND [ARGUMENT…]]';
  static override args = {
    key: Args.string({ required: true, ignoreStdin: true, description: 'key, 1 to 1024 bytes' }),
    value: Args.string({ required: true, ignoreStdin: true, description: 'value, up to 1 MiB' }),
  };
  static override flags = {
    ttl: Flags.string({
      helpValue: 'TIME',
      default: '15s',
      description: 'how long it stays without a sign of this process, at least 1s',
    }),
  };

  override async run(): Promise<void> {
    const { own, command } = splitCommand(this.argv, usage);
    const { args, flags } = await this.parse(Keep, own);
    const key = checkedKey(argumentBytes(args.key, 'KEY'));
    const value = checkedValue(argumentBytes(args.value, 'VALUE'));
    const ttlMs = parseDurationMs(flags.ttl, '--ttl', ttlMsMin, ttlMsMax);
    process.exitCode = await this.withClient(flags, (session) =>
      keepRegistered(session, { key, value, ttlMs }, command, session.timeLeft()),
    );
  }
}
