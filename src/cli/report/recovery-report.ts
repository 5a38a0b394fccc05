import type { EnoughLeft } from '../../backup/enough-left.ts';
import type { LostDirectory, Salvage } from '../../backup/survivors.ts';
import type { Configuration } from '../../cluster/configuration.ts';
import { formatTable } from '../output.ts';

/** What a survivor holds, as far as people want to know. */
interface SurvivorView {
  readonly path: string;
  readonly identity: { readonly nodeId: number; readonly storageId: string };
  readonly clusterId: string | undefined;
  readonly configuration: Configuration | undefined;
  readonly olderCopy: string | undefined;
  readonly head: {
    readonly decidedIndex: number;
    readonly endIndex: number;
    readonly acceptedRound: { readonly n: number };
  };
  readonly state: { readonly durableIndex: number };
}

const columns = ['DIRECTORY', 'NODE', 'CLUSTER', 'CONFIGURATION', 'ROUND', 'ACCEPTED', 'DECIDED', 'APPLIED'];

/** What was found, one directory a line, and below what cannot be used. `joining`: those of the readings that did not vote yet. */
export function describeSurvivors(
  readings: readonly SurvivorView[],
  lost: readonly LostDirectory[],
  joining: readonly SurvivorView[] = [],
): string[] {
  const rows = readings.map(({ path, identity, clusterId, configuration, head, state }) => [
    path,
    String(identity.nodeId),
    clusterId ?? 'none yet',
    String(configuration?.configurationId ?? 'none'),
    String(head.acceptedRound.n),
    String(head.endIndex),
    String(head.decidedIndex),
    String(state.durableIndex),
  ]);
  const table = rows.length === 0 ? [] : formatTable([columns, ...rows], [1, 3, 4, 5, 6, 7]);
  const older = readings.filter(({ olderCopy }) => olderCopy !== undefined);
  return [
    ...table,
    ...older.map(({ path, olderCopy }) => `older copy: ${path}: it lacks what its node voted for since (${olderCopy})`),
    ...joining.map(
      ({ path, configuration }) =>
        `still joining: ${path}: its node had not got all that was decided before ${beginningOf(configuration)}, and did not vote yet`,
    ),
    ...lost.map(({ path, problem }) => `not usable: ${path}: ${problem}`),
  ];
}

/** What is kept, and what may be lost; `isLacking`: something that was decided surely is. */
export function describeSalvage(salvage: Salvage, isLacking: boolean): string[] {
  const { base, certainIndex, tail, endIndex } = salvage;
  const lines =
    certainIndex === 0
      ? ['none of these nodes knows of anything that was decided']
      : [`all up to revision ${certainIndex} is certain: node ${base.identity.nodeId} knows it to be decided`];
  if (tail !== undefined) {
    lines.push(
      `revisions ${certainIndex + 1} to ${endIndex} were accepted by node ${tail.identity.nodeId}, and perhaps acknowledged: ` +
        'they are kept as if decided',
    );
  }
  if (isLacking) lines.push(lackOf(salvage));
  lines.push(`what only the lost nodes had, above revision ${endIndex}, is lost with them, acknowledged or not`);
  return lines;
}

/** A revision is one more than its index. */
function beginningOf(configuration: Configuration | undefined): string {
  if (configuration === undefined) return 'any configuration';
  return `configuration ${configuration.configurationId}, which begins with revision ${configuration.startIndex + 1}`;
}

function lackOf({ endIndex, configuration }: Salvage): string {
  return `what was decided above revision ${endIndex}, before ${beginningOf(configuration)}, is in none of these directories`;
}

/** Why these directories do not go together, if they do not. */
export function survivorsProblem(readings: readonly SurvivorView[]): string | undefined {
  const [first, ...others] = readings;
  for (const other of others) {
    if (other.clusterId === first?.clusterId) continue;
    const whose = (view: SurvivorView | undefined) => `${view?.path} is of ${view?.clusterId ?? 'no cluster yet'}`;
    return `${whose(first)}, ${whose(other)}: give directories of one cluster`;
  }
  const nodes = readings.map(({ identity }) => identity.nodeId);
  const twice = nodes.find((id, at) => nodes.indexOf(id) < at);
  return twice === undefined ? undefined : `node ${twice} is there twice: give the newer directory of the two`;
}

/** What was decided before the newest configuration is with none of these nodes. */
export function lackProblem(salvage: Salvage, readings: readonly SurvivorView[]): string {
  const { members = [], past = [] } = salvage.configuration ?? {};
  const given = readings.map(({ identity }) => identity.nodeId);
  const others = [...(past.at(-1)?.memberIds ?? []), ...members.map(({ id }) => id)].filter(
    (id) => !given.includes(id),
  );
  const ids = [...new Set(others)].sort((a, b) => a - b).join(', ');
  const whose = ids === '' ? 'a node that has it' : `a node that has it, which may be one of ${ids}`;
  return (
    `${lackOf(salvage)}, and without it their nodes do not go on by themselves: give that of ${whose} ` +
    '(--force goes on all the same, and it is lost)'
  );
}

/** None of these nodes voted in the newest configuration: what they have may be old, or a part. */
export function outsidersProblem(
  { configuration }: Salvage,
  readings: readonly SurvivorView[],
  joining: readonly SurvivorView[],
): string {
  const members = configuration?.members ?? [];
  const whys = readings.map((reading) => {
    const { nodeId } = reading.identity;
    if (reading.configuration?.configurationId !== configuration?.configurationId)
      return `node ${nodeId} did not know it`;
    return joining.includes(reading) ? `node ${nodeId} was still joining` : `node ${nodeId} stood by`;
  });
  return (
    `none of these voted in configuration ${configuration?.configurationId}, whose members are ${members.map(({ id }) => id).join(', ')}: ` +
    `${whys.join(', ')}; they may lack all that was decided since, or have a part of the data; give the directory of a member ` +
    '(--force goes on all the same)'
  );
}

/** Enough nodes are left: nothing needs to be lost. `openChange`: nodes that are to be the members, if that was accepted and not decided. */
export function describeEnough(
  { configuration, members, givers, strangers }: EnoughLeft,
  openChange: readonly number[] | undefined,
): string {
  const left = `nodes ${members.join(', ')} are left of ${configuration.members.length} members, and that is enough`;
  const from = `${givers.length === 1 ? 'node' : 'nodes'} ${givers.join(', ')}`;
  const what =
    givers.length === 0
      ? `${left}: start them`
      : `${left} with ${from}, from which they get what they lack: start all of these`;
  const where =
    strangers.length === 0
      ? ''
      : `; the cluster files of nodes ${members.join(', ')} have to name ${strangers.join(', ')}, or they do not find each other`;
  const then = openChange
    ? `; a change of members to ${openChange.join(', ')} may take effect then, and needs these to go on`
    : '';
  return `${what}, nothing is lost then, unless one is an older copy${where}${then} (--force makes a new cluster all the same)`;
}
