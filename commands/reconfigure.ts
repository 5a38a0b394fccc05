import { Args, Flags } from '@oclif/core';
import { ClientCommand } from '../src/cli/client-command.ts';
import { CommandError } from '../src/cli/exit-codes.ts';
import { printJson, printLine, printMessage } from '../src/cli/output.ts';
import { askYesNo, canAsk } from '../src/cli/prompt.ts';
import { describePlan, planReconfiguration } from '../src/cli/reconfiguration-plan.ts';
import { parseNodeList } from '../src/cluster/node-list.ts';
import { membersMax } from '../src/wire/limits.ts';

export default class Reconfigure extends ClientCommand {
  static override summary = 'Change which nodes are the members of the cluster.';
  static override description =
    'NODES are all members from then on. A newcomer must be running (kv start --id N) and gets the data from the others; who ' +
    'is left out steps back to standby. Shows what changes, and asks before it does it where there is a terminal.';
  static override examples = [
    '<%= config.bin %> reconfigure 1,2,4',
    '<%= config.bin %> reconfigure 1,2,4=10.0.0.4:7004 --yes',
  ];
  static override args = {
    nodes: Args.string({ required: true, ignoreStdin: true, description: 'ids, or id=host:port, with commas between' }),
  };
  static override flags = {
    yes: Flags.boolean({ description: 'do not ask' }),
  };
  protected override readonly fallbackTimeoutMs = 30_000;

  override async run(): Promise<void> {
    const { args, flags } = await this.parse(Reconfigure);
    const wanted = parseNodeList(args.nodes, membersMax);
    const result = await this.withClient(flags, async ({ client, cluster, timeoutMs }) => {
      const known = cluster.path === undefined ? new Map<number, string>() : cluster.nodes;
      const plan = planReconfiguration(await client.clusterStatus({ timeoutMs }), wanted, known);
      for (const line of describePlan(plan)) printMessage(line);
      const mayChange = flags.yes || !canAsk() || (await askYesNo('Change the members?'));
      if (!mayChange) throw new CommandError('conditionFailed', 'declined', 'nothing was changed');
      const { configurationId } = await client.reconfigure([...plan.nodes], { timeoutMs });
      return { configurationId, members: plan.nodes.map(({ id }) => id) };
    });
    const line = `configuration ${result.configurationId} with members ${result.members.join(', ')}`;
    await (flags.json ? printJson(result) : printLine(line));
  }
}
