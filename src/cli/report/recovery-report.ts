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

/** What was found, one directory a line, and below what cannot be used. */
export function describeSurvivors(readings: readonly SurvivorView[], lost: readonly LostDirectory[]): string[] {
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
    ...lost.map(({ path, problem }) => `not usable: ${path}: ${problem}`),
  ];
}

/** What is kept, and what may be lost. */
export function describeSalvage({ base, certainIndex, tail, endIndex }: Salvage): string[] {
  const lines = [`all up to revision ${certainIndex} is certain: node ${base.identity.nodeId} knows it to be decided`];
  if (tail !== undefined) {
    lines.push(
      `revisions ${certainIndex + 1} to ${endIndex} were accepted by node ${tail.identity.nodeId}, and perhaps acknowledged: ` +
        'they are kept as if decided',
    );
  }
  lines.push(`what only the lost nodes had, above revision ${endIndex}, is lost with them, acknowledged or not`);
  return lines;
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

/** Says so if all of these directories are of nodes that stood by: what they have may be old, or a part. */
export function outsidersProblem(readings: readonly SurvivorView[]): string | undefined {
  const isMember = ({ identity, configuration }: SurvivorView) =>
    configuration?.members.some(({ id, storageId }) => id === identity.nodeId && storageId === identity.storageId);
  const [first] = readings;
  if (first?.configuration === undefined || readings.some(isMember)) return undefined;
  const ids = first.configuration.members.map(({ id }) => id).join(', ');
  return (
    `node ${first.identity.nodeId} is no member of configuration ${first.configuration.configurationId}, whose members are ${ids}: it stood by, ` +
    'and may lack all that was decided since, or have a part of the data; give the directory of a member (--force goes on all the same)'
  );
}

/** Says so if enough members are left: then nothing needs to be lost. One that was rolled back is not left: it forgot what it voted for. */
export function quorumLeft(readings: readonly SurvivorView[]): string | undefined {
  const byId = (a: Configuration, b: Configuration) => b.configurationId - a.configurationId;
  const [latest] = readings.flatMap(({ configuration }) => configuration ?? []).sort(byId);
  if (latest === undefined) return undefined;
  const { members, quorum } = latest;
  const left = members.filter(({ id, storageId }) =>
    readings.some(
      ({ identity, olderCopy }) =>
        identity.nodeId === id && identity.storageId === storageId && olderCopy === undefined,
    ),
  );
  const enough = quorum ? Math.max(quorum.prepare, quorum.accept) : Math.floor(members.length / 2) + 1;
  if (left.length < enough) return undefined;
  const ids = left.map(({ id }) => id).join(', ');
  return (
    `nodes ${ids} are left of ${members.length} members, and that is enough: start them, nothing is lost then, unless one is an older copy ` +
    '(--force makes a new cluster all the same)'
  );
}
