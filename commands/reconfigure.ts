import * as Args from '@oclif/core/args';
import { MembershipCommand, membershipHelp } from '../src/cli/membership/membership-command.ts';
import { parseNodes, toExactly } from '../src/cli/membership/target.ts';

export default class Reconfigure extends MembershipCommand {
  static override summary = 'Say which nodes are the members of the cluster.';
  static override description =
    `NODES are all members from then on. A newcomer must be running (kv start --id N) and gets the data from the others; who is left out steps back to standby. ${membershipHelp}`;
  static override examples = [
    '<%= config.bin %> reconfigure 1,2,4',
    '<%= config.bin %> reconfigure 1,2,4=10.0.0.4:7004 --yes',
    '<%= config.bin %> reconfigure 1,2,4 --json --progress',
  ];
  static override args = {
    nodes: Args.string({ required: true, ignoreStdin: true, description: 'ids, or id=host:port, with commas between' }),
  };

  override async run(): Promise<void> {
    const { args, flags } = await this.parse(Reconfigure);
    await this.change(flags, toExactly(parseNodes([args.nodes])));
  }
}
