import { ClientCommand } from '../../src/cli/client-command.ts';
import { describeMembers, membersJson } from '../../src/cli/membership/member-list.ts';
import { printJson, printLine } from '../../src/cli/output.ts';

export default class MemberList extends ClientCommand {
  static override summary = 'Show the members of the cluster, and how many of them may fail.';
  static override description =
    'kv status shows more: how far each node is, who holds what back, and the members of the past.';
  static override examples = [
    '<%= config.bin %> member list',
    "<%= config.bin %> member list --json | jq '.members[].address'",
  ];
  // Not strict: else oclif takes a stray argument for the name of another command. The base command refuses it.
  static override strict = false;

  override async run(): Promise<void> {
    const { flags } = await this.parse(MemberList);
    const status = await this.withClient(flags, ({ client, timeLeft }) => client.clusterStatus(timeLeft()));
    await (flags.json ? printJson(membersJson(status)) : printLine(describeMembers(status).join('\n')));
  }
}
