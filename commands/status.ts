import { ClientCommand } from '../src/cli/client-command.ts';
import { printJson, printLine } from '../src/cli/output.ts';
import { describeStatus, statusJson } from '../src/cli/report/status-report.ts';

export default class Status extends ClientCommand {
  static override summary = 'Show the nodes, who leads, and how far each one is.';
  static override description =
    'DECIDED and APPLIED are positions in the log; FSYNC P99 is what 99 of 100 of the last writes to its disk did not exceed. ' +
    'SPACE is what log and state use of the disk or quota: low from 80 % on, full ' +
    'from 95 % on, and then the cluster takes no puts. A node that waits for a reconfiguration is a standby; it is shown if it is ' +
    'among the endpoints.';
  static override examples = ['<%= config.bin %> status', "<%= config.bin %> status --json | jq '.leader'"];
  // Not strict: else oclif takes a stray argument for the name of another command. The base command refuses it.
  static override strict = false;

  override async run(): Promise<void> {
    const { flags } = await this.parse(Status);
    const report = await this.withClient(flags, ({ client, timeLeft }) => client.clusterStatus(timeLeft()));
    if (flags.json) return printJson(statusJson(report));
    await printLine(describeStatus(report).join('\n'));
  }
}
