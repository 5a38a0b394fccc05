import * as Args from '@oclif/core/args';
import { MembershipCommand, membershipHelp } from '../../src/cli/membership/membership-command.ts';
import { byAdding, parseNodes } from '../../src/cli/membership/target.ts';

export default class MemberAdd extends MembershipCommand {
  static override summary = 'Take nodes into the cluster.';
  static override description =
    `Each must be running (kv start --id N) and gets the data from the members. Several are taken in by one reconfiguration. ${membershipHelp}`;
  static override examples = [
    '<%= config.bin %> member add 4',
    '<%= config.bin %> member add 4=10.0.0.4:7001 5=10.0.0.5:7001',
    '<%= config.bin %> member add 4 --dry-run',
  ];
  // Not strict: several arguments.
  static override strict = false;
  static override args = {
    nodes: Args.string({ required: true, ignoreStdin: true, description: 'ids, or id=host:port' }),
  };

  override async run(): Promise<void> {
    const { argv, flags } = await this.parse(MemberAdd);
    await this.change(flags, byAdding(parseNodes(argv.map(String))));
  }
}
