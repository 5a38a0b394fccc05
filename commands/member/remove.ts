import * as Args from '@oclif/core/args';
import { MembershipCommand, membershipHelp } from '../../src/cli/membership/membership-command.ts';
import { byRemoving, parseNodes } from '../../src/cli/membership/target.ts';

export default class MemberRemove extends MembershipCommand {
  static override summary = 'Take nodes out of the cluster.';
  static override description =
    `They may be down; those that run step back to standby, and can be stopped then. Several are taken out by one reconfiguration. ${membershipHelp}`;
  static override examples = ['<%= config.bin %> member remove 3', '<%= config.bin %> member remove 4 5 --yes'];
  // Not strict: several arguments.
  static override strict = false;
  static override args = {
    nodes: Args.string({ required: true, ignoreStdin: true, description: 'ids' }),
  };

  override async run(): Promise<void> {
    const { argv, flags } = await this.parse(MemberRemove);
    await this.change(flags, byRemoving(parseNodes(argv.map(String))));
  }
}
