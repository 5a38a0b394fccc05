import * as Args from '@oclif/core/args';
import { MembershipCommand, membershipHelp } from '../../src/cli/membership/membership-command.ts';
import { byReplacing, parseNodes } from '../../src/cli/membership/target.ts';

export default class MemberReplace extends MembershipCommand {
  static override summary = 'Put one node in the place of another.';
  static override description =
    `OLD goes and NEW comes in one reconfiguration, so that the cluster is never one member short. OLD may be down. ${membershipHelp}`;
  static override examples = [
    '<%= config.bin %> member replace 3 4',
    '<%= config.bin %> member replace 3 4=10.0.0.4:7001 --no-wait',
  ];
  static override args = {
    old: Args.string({ required: true, ignoreStdin: true, description: 'id of the member that goes' }),
    new: Args.string({ required: true, ignoreStdin: true, description: 'id, or id=host:port, of the node that comes' }),
  };

  override async run(): Promise<void> {
    const { args, flags } = await this.parse(MemberReplace);
    await this.change(flags, byReplacing(parseNodes([args.old]), parseNodes([args.new])));
  }
}
