import { setTimeout as delay } from 'node:timers/promises';
import type { KvClient } from '../../client/client.ts';
import type { ClusterStatus, MemberStatus } from '../../client/members/cluster-status.ts';
import { defaultAddress } from '../../cluster/address.ts';
import type { ClusterDescription } from '../../cluster/cluster-file.ts';
import {
  type AddressOf,
  changesNothing,
  describePlan,
  faultTolerance,
  planReconfiguration,
  type ReconfigurationPlan,
} from '../arguments/reconfiguration-plan.ts';
import { CommandError } from '../exit-codes.ts';
import { printMessage } from '../output.ts';
import { askYesNo, canAsk } from '../prompt.ts';
import { takesPart } from '../report/status-report.ts';
import { askNodes } from './ask-nodes.ts';
import { awaitComplete } from './await-complete.ts';
import { CatchUpMeter } from './catch-up-meter.ts';
import { apartNotes, type Filled, findProblems, isCatchingUp, pauseNote, stopAt } from './checks.ts';
import { type Filling, fillNewcomers } from './fill-newcomers.ts';
import { fates, Interruption } from './interruption.ts';
import type { MembershipChange } from './membership-change.ts';
import { MembershipReport, type OutputMode } from './report.ts';
import { statusWithLeader } from './status-with-leader.ts';
import type { Target } from './target.ts';

/** How long a node may take to start again, in the moment at which its cluster is to be changed: less than newcomers go on filling themselves. */
const restartPatienceMs = 5_000;
const restartPollMs = 500;
/** A link with a process that was killed is given up in less. */
const linkPatienceMs = 4_000;
/** Of problems that a start mends: nodes that do not answer, and what comes of that. */
const passingCodes: readonly string[] = ['unreachable', 'memberDown', 'noMajority', 'notLinked'];

export interface MembershipSession {
  readonly client: Pick<KvClient, 'clusterStatus' | 'statusOf' | 'reconfigure' | 'fill'>;
  readonly cluster: ClusterDescription;
  /** The time that the decision may take, milliseconds. */
  readonly timeoutMs: number;
}

export interface ChangeOptions {
  readonly isForced: boolean;
  readonly isDryRun: boolean;
  /** A person is asked first, where there is one. */
  readonly mayAsk: boolean;
  /** How long newcomers may take to get all data, before the change and after it; undefined: they get it after it, unwatched. */
  readonly waitTimeoutMs: number | undefined;
  readonly output: OutputMode;
}

/**
 * Changes the members: looks, shows, asks, has the newcomers get all data, proposes, and waits until they vote. Throws a
 * {@link CommandError} or a KvError.
 */
export async function changeMembers(
  { client, cluster, timeoutMs }: MembershipSession,
  target: Target,
  options: ChangeOptions,
): Promise<void> {
  const status = await statusWithLeader(client, timeoutMs);
  const plan = planReconfiguration(
    status,
    target(status.members.filter(({ isMember }) => isMember)),
    addressesKnown(cluster, status),
  );
  const warnings = await look(client, plan, status, timeoutMs, options);
  const change = changeOf(plan, warnings);
  const report = new MembershipReport(options.output);
  const interruption = new Interruption((line) => report.message(line));
  try {
    await carryOut({ client, cluster, timeoutMs }, { plan, status, change }, options, { report, interruption });
  } finally {
    interruption.release();
  }
}

/** What was looked at, and found to be sound. */
interface Looked {
  readonly plan: ReconfigurationPlan;
  readonly status: ClusterStatus;
  readonly change: MembershipChange;
}

/** Whom to tell how it goes on. */
interface Told {
  readonly report: MembershipReport;
  readonly interruption: Interruption;
}

async function carryOut(
  { client, timeoutMs }: MembershipSession,
  { plan, status, change }: Looked,
  options: ChangeOptions,
  { report, interruption }: Told,
): Promise<void> {
  if (options.isDryRun) return report.dryRun(change);
  if (changesNothing(plan)) return awaitFormer(client, change, joiningIn(plan, status), options.waitTimeoutMs, report);
  if (options.mayAsk && canAsk() && !(await askYesNo('Change the members?'))) {
    throw new CommandError('conditionFailed', 'declined', 'nothing was changed');
  }
  // What was looked at is what is changed: not what somebody else made of it meanwhile.
  const ifConfigurationId = plan.configurationId;
  const fillTimeoutMs = options.waitTimeoutMs ?? 0;
  // One for all of it: who has filled itself is not at its beginning again once it is a member.
  const meter = new CatchUpMeter();
  if (fillTimeoutMs > 0) {
    await fill(client, plan, { timeoutMs, fillTimeoutMs, isForced: options.isForced, meter }, report);
    // What was seen before may have changed since: that took its time.
    if (plan.added.length > 0)
      stopAt(await lastingProblems(client, plan, timeoutMs, options.isForced), options.isForced);
  }
  await report.proposed(change);
  const decision = { timeoutMs, ifConfigurationId, fillTimeoutMs: 0 };
  interruption.fate = fates.open;
  const { configurationId } = await client.reconfigure([...plan.nodes], decision);
  interruption.fate = fates.decided(configurationId);
  const decided = { ...change, configurationId };
  // Those that stay and were far behind, too: what they lack those may have who were taken out, and could be stopped from here on.
  const awaited = [...decided.added, ...lateIn(plan, status)];
  const isComplete = awaited.length === 0;
  if (options.waitTimeoutMs === undefined) {
    if (isComplete) await report.decided(decided, []);
    return report.done(decided, isComplete);
  }
  await report.decided(decided, awaited);
  await wait(client, { configurationId, awaited, meter }, options.waitTimeoutMs, report);
  await report.done(decided, true, awaited);
}

/** Throws if the change is not sound; gives the warnings that are left, shown to people. */
async function look(
  client: MembershipSession['client'],
  plan: ReconfigurationPlan,
  status: ClusterStatus,
  timeoutMs: number,
  { isForced, waitTimeoutMs }: ChangeOptions,
): Promise<string[]> {
  const filled = waitTimeoutMs === undefined ? 'afterwards' : 'before';
  const problems = await settledProblems(client, plan, status, timeoutMs, filled);
  if (changesNothing(plan)) {
    // Those that are not complete yet are waited for.
    const lasting = stopAt(
      problems.filter(({ code }) => code !== 'memberIncomplete'),
      true,
    );
    for (const warning of lasting) printMessage(`warning: ${warning}`);
    return lasting;
  }
  const note = waitTimeoutMs === undefined ? pauseNote(plan, status) : undefined;
  const notes = [...apartNotes(plan, status), ...(note === undefined ? [] : [note])];
  const warnings = [...stopAt(problems, isForced), ...notes];
  for (const line of describePlan(plan)) printMessage(line);
  for (const warning of warnings) printMessage(`  warning: ${warning}`);
  return warnings;
}

/** Members that stay and are still catching up. */
function lateIn(plan: ReconfigurationPlan, status: ClusterStatus): number[] {
  const stays = ({ id, isMember }: MemberStatus) => isMember && plan.nodes.some((node) => node.id === id);
  return status.members.filter((one) => stays(one) && takesPart(one) && isCatchingUp(one)).map(({ id }) => id);
}

/** Members that do not have all data yet, of a change that was made before, or have not heard of it; not those with whom something else is wrong. */
function joiningIn(plan: ReconfigurationPlan, status: ClusterStatus): number[] {
  const isIn = (id: number) => plan.nodes.some((node) => node.id === id);
  const isJoining = ({ id, isMember, state, configurationId = 0, hasOtherDirectory }: MemberStatus): boolean => {
    if (!isMember || !isIn(id) || state === undefined || hasOtherDirectory) return false;
    return state !== 'member' || configurationId < status.configurationId;
  };
  return status.members.filter(isJoining).map(({ id }) => id);
}

/** The members are those already: what is left of a change that was made before is waited for. */
async function awaitFormer(
  client: MembershipSession['client'],
  change: MembershipChange,
  joining: readonly number[],
  waitTimeoutMs: number | undefined,
  report: MembershipReport,
): Promise<void> {
  const areAllThere = change.warnings.length === 0;
  if (joining.length === 0 || waitTimeoutMs === undefined) {
    return report.done(change, areAllThere && joining.length === 0);
  }
  await report.decided(change, joining);
  const { configurationId } = change;
  await wait(client, { configurationId, awaited: joining, meter: new CatchUpMeter() }, waitTimeoutMs, report);
  await report.done(change, areAllThere, joining);
}

/** What speaks against the change after a long fill: a node that is just being started again is worth a moment. */
async function lastingProblems(
  client: MembershipSession['client'],
  plan: ReconfigurationPlan,
  timeoutMs: number,
  isForced: boolean,
): Promise<ReturnType<typeof findProblems>> {
  const deadlineMs = performance.now() + (isForced ? 0 : restartPatienceMs);
  for (;;) {
    const problems = await problemsOf(client, plan, await statusWithLeader(client, timeoutMs), timeoutMs, 'done');
    const isWorthIt = problems.length > 0 && problems.every(({ code }) => passingCodes.includes(code));
    if (!isWorthIt || performance.now() >= deadlineMs) return problems;
    await delay(restartPollMs);
  }
}

/** What speaks against the change at first sight, and does still in a moment. */
async function settledProblems(
  client: MembershipSession['client'],
  plan: ReconfigurationPlan,
  status: ClusterStatus,
  timeoutMs: number,
  filled: Filled,
): Promise<ReturnType<typeof findProblems>> {
  const deadlineMs = performance.now() + linkPatienceMs;
  let problems = await problemsOf(client, plan, status, timeoutMs, filled);
  const isWorthIt = () =>
    problems.some(({ mayPass }) => mayPass) && problems.every((one) => one.mayPass || !one.isUnsafe);
  while (isWorthIt() && performance.now() < deadlineMs) {
    await delay(restartPollMs);
    problems = await problemsOf(client, plan, await statusWithLeader(client, timeoutMs), timeoutMs, filled);
  }
  return problems;
}

async function problemsOf(
  client: MembershipSession['client'],
  plan: ReconfigurationPlan,
  status: ClusterStatus,
  timeoutMs: number,
  filled: Filled,
): Promise<ReturnType<typeof findProblems>> {
  return findProblems(plan, status, await askNodes(client, plan, timeoutMs), filled);
}

async function fill(
  client: MembershipSession['client'],
  plan: ReconfigurationPlan,
  settings: Pick<Filling, 'timeoutMs' | 'fillTimeoutMs' | 'isForced' | 'meter'>,
  report: MembershipReport,
): Promise<void> {
  // Without newcomers there may be members that stay to be waited for.
  if (plan.added.length > 0) await report.filling(plan.added.map(({ id }) => id));
  try {
    await fillNewcomers(client, plan, {
      ...settings,
      onProgress: (progress) => report.progress(progress),
      onMessage: (line) => report.message(line),
    });
  } finally {
    report.clear();
  }
}

/** Who is to have all data in which configuration. */
interface Awaiting {
  readonly configurationId: number;
  readonly awaited: readonly number[];
  readonly meter: CatchUpMeter;
}

async function wait(
  client: MembershipSession['client'],
  { configurationId, awaited, meter }: Awaiting,
  timeoutMs: number,
  report: MembershipReport,
): Promise<void> {
  try {
    await awaitComplete(client, {
      configurationId,
      newcomers: awaited,
      timeoutMs,
      meter,
      onProgress: (progress) => report.progress(progress),
    });
  } finally {
    report.clear();
  }
}

/** Where newcomers are if nobody says: as the cluster file has it, or by the rule that nodes without a file follow. */
function addressesKnown(cluster: ClusterDescription, status: ClusterStatus): AddressOf {
  if (cluster.path !== undefined) return (id) => cluster.nodes.get(id);
  const isDefault = status.members.every(({ id, address }) => address === defaultAddress(id));
  return isDefault ? defaultAddress : () => undefined;
}

function changeOf(plan: ReconfigurationPlan, warnings: readonly string[]): MembershipChange {
  return {
    configurationId: changesNothing(plan) ? plan.configurationId : plan.configurationId + 1,
    members: plan.nodes.map(({ id }) => id),
    added: plan.added.map(({ id }) => id),
    removed: plan.removed,
    faultTolerance: faultTolerance(plan.nodes.length),
    warnings,
  };
}
