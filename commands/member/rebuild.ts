import * as Args from '@oclif/core/args';
import * as Flags from '@oclif/core/flags';
import { ClientCommand, type Session } from '../../src/cli/client-command.ts';
import { CommandError } from '../../src/cli/exit-codes.ts';
import { awaitComplete } from '../../src/cli/membership/await-complete.ts';
import { fates, Interruption } from '../../src/cli/membership/interruption.ts';
import { waitTimeoutFlag, waitTimeoutMsOf } from '../../src/cli/membership/membership-command.ts';
import { MembershipReport } from '../../src/cli/membership/report.ts';
import { statusWithLeader } from '../../src/cli/membership/status-with-leader.ts';
import { printJson, printLine, printMessage } from '../../src/cli/output.ts';
import { askYesNo, canAsk } from '../../src/cli/prompt.ts';
import { KvError } from '../../src/client/call/errors.ts';
import type { KvClient } from '../../src/client/client.ts';
import type { ClusterStatus, MemberStatus } from '../../src/client/members/cluster-status.ts';
import { InputError } from '../../src/cluster/input-error.ts';
import { parseNodeId } from '../../src/cluster/node-list.ts';

export default class MemberRebuild extends ClientCommand {
  static override summary = 'Make a node whole from the others.';
  static override description =
    'For a member whose data directory was damaged, lost, or rolled back to an older copy. Start it first with ' +
    'kv start --id ID --rebuild, which sets the damaged directory aside. One reconfiguration then takes the vote from the old ' +
    'directory and gives it to the new one; the members stay the same. Waits until the node has all the data and votes.';
  static override examples = ['<%= config.bin %> member rebuild 2', '<%= config.bin %> member rebuild 2 --yes --json'];
  static override args = {
    node: Args.string({ required: true, ignoreStdin: true, description: 'id of the member' }),
  };
  static override flags = {
    yes: Flags.boolean({ description: 'do not ask' }),
    'dry-run': Flags.boolean({ description: 'look and show what would change, but change nothing' }),
    'wait-timeout': waitTimeoutFlag('how long the node may take to get all data (--timeout: the change to be decided)'),
  };
  protected override readonly fallbackTimeoutMs = 30_000;

  override async run(): Promise<void> {
    const { args, flags } = await this.parse(MemberRebuild);
    const nodeId = parseNodeId(args.node);
    const waitTimeoutMs = waitTimeoutMsOf(flags);
    const options = { isSure: flags.yes, isDryRun: flags['dry-run'], waitTimeoutMs };
    const result = await this.withClient(flags, (session) => rebuild(session, nodeId, options));
    const { configurationId, appliedIndex } = result;
    if (appliedIndex === undefined) {
      const next = `configuration ${configurationId} would be next: nothing was changed`;
      return flags.json ? printJson({ ...result, dryRun: true }) : printLine(next);
    }
    const line = `node ${nodeId} is whole: it votes in configuration ${configurationId} and has applied ${appliedIndex}`;
    await (flags.json ? printJson(result) : printLine(line));
  }
}

interface RebuildOptions {
  readonly isSure: boolean;
  readonly isDryRun: boolean;
  readonly waitTimeoutMs: number;
}

/** Without `appliedIndex`: nothing was changed, as nothing was to be. */
async function rebuild(
  { client, timeoutMs }: Session,
  nodeId: number,
  { isSure, isDryRun, waitTimeoutMs }: RebuildOptions,
): Promise<{ readonly node: number; readonly configurationId: number; readonly appliedIndex?: number }> {
  refuseOnlyMember(await client.clusterStatus({ timeoutMs }), nodeId);
  const status = await statusWithLeader(client, timeoutMs);
  const member = status.members.find(({ id }) => id === nodeId);
  if (!member?.isMember) {
    const ids = status.members.filter(({ isMember }) => isMember).map(({ id }) => id);
    const message = `node ${nodeId} is no member: the members are ${ids.join(', ')}`;
    throw new CommandError('conditionFailed', 'notMember', message);
  }
  // The leader refuses it, too: this is before anything is announced.
  if (member.state === 'member' && !member.hasOtherDirectory) {
    throw new InputError(
      `node ${nodeId} runs and votes with its data directory: there is nothing to rebuild; if that directory is damaged, ` +
        `stop the node and start it with kv start --id ${nodeId} --rebuild`,
    );
  }
  refuseWithoutLeader(status);
  printMessage(
    `configuration ${status.configurationId} is to end: the former data directory of node ${nodeId} loses its vote`,
  );
  printMessage(`  the next one has the same members: node ${nodeId} gets everything from the others and votes then`);
  if (isDryRun) {
    refuseSilent(member);
    return { node: nodeId, configurationId: status.configurationId + 1 };
  }
  if (!isSure && canAsk() && !(await askYesNo(`Rebuild node ${nodeId}?`))) {
    throw new CommandError('conditionFailed', 'declined', 'nothing was changed');
  }
  const report = new MembershipReport('text');
  const interruption = new Interruption((line) => report.message(line));
  let configurationId: number;
  try {
    interruption.fate = fates.open;
    ({ configurationId } = await client.rebuild(nodeId, { timeoutMs }));
    interruption.fate = fates.decided(configurationId);
    await awaitRebuilt(client, report, { configurationId, newcomers: [nodeId], timeoutMs: waitTimeoutMs });
  } finally {
    interruption.release();
  }
  return { node: nodeId, configurationId, appliedIndex: await appliedIndexOf(client, nodeId, member.address) };
}

/** The data comes from the others. */
function refuseOnlyMember({ members }: ClusterStatus, nodeId: number): void {
  const ids = members.filter(({ isMember }) => isMember).map(({ id }) => id);
  if (ids.length > 1 || !ids.includes(nodeId)) return;
  const message = `node ${nodeId} is the only member, nobody else has its data: make a new cluster of a backup with kv backup restore`;
  throw new CommandError('conditionFailed', 'onlyMember', message);
}

/** Whoever proposes the change waits for it; a dry run does not. */
function refuseSilent({ id, address, state }: MemberStatus): void {
  if (state !== undefined) return;
  const message = `node ${id} does not answer at ${address}: start it with \`kv start --id ${id} --rebuild\``;
  throw new CommandError('notReached', 'unreachable', message);
}

/** A majority of the members decides on it. */
function refuseWithoutLeader({ leader, configurationId }: ClusterStatus): void {
  if (leader !== undefined) return;
  const message =
    `configuration ${configurationId} has no leader with a majority in reach: start the members that are left; where too few are, ` +
    'kv recover makes a new cluster of what they hold';
  throw new CommandError('notReached', 'noMajority', message);
}

/** Whatever becomes of this question, the change stands: that it failed must not read as if nothing had happened. */
async function appliedIndexOf(client: KvClient, nodeId: number, address: string): Promise<number> {
  try {
    return (await client.statusOf(address)).appliedIndex;
  } catch (error) {
    if (!(error instanceof KvError)) throw error;
    const message = `node ${nodeId} was whole and voted, but does not answer any more (${error.message}): see its log`;
    throw new CommandError('incomplete', 'incomplete', message, 'applied');
  }
}

/** Shows on a terminal how far the node is. */
async function awaitRebuilt(
  client: KvClient,
  report: MembershipReport,
  wait: { readonly configurationId: number; readonly newcomers: readonly number[]; readonly timeoutMs: number },
): Promise<void> {
  try {
    await awaitComplete(client, { ...wait, onProgress: (progress) => report.progress(progress) });
  } finally {
    report.clear();
  }
}
