import type { VerifyReport } from '../../cluster/verify-report.ts';
import { formatTable } from '../output.ts';
import { countOf } from './numbers.ts';

/** The findings as JSON has them: what is not known is `null`, so that every field is always there. */
export function verifyJson({ problems, ...found }: VerifyReport) {
  const known = Object.fromEntries(
    [
      ...['path', 'isSound', 'nodeId', 'storageId', 'clusterName', 'clusterId', 'configuration'],
      ...['trimmedIndex', 'endIndex', 'decidedIndex', 'appliedIndex', 'logRecords', 'logBytes'],
      ...['keys', 'sessions', 'stateBytes'],
    ].map((name) => [name, found[name as keyof typeof found] ?? null]),
  );
  return { ...known, problems: problems.map(({ file, where, problem }) => ({ file, where: where ?? null, problem })) };
}

/** What the directory holds, for people, a line each. */
export function describeContents(found: VerifyReport): string[] {
  const { configuration } = found;
  const members = configuration?.members.map(({ id }) => id).join(', ');
  // The log says both; where it cannot be read nobody knows.
  const unsaid = found.endIndex === undefined ? '?' : '(none yet)';
  const rows = [
    ['directory', found.path],
    ['node', `${found.nodeId ?? '?'}, storage id ${found.storageId ?? '?'}`],
    ['cluster', `${found.clusterId ?? unsaid} "${found.clusterName ?? '?'}"`],
    ['configuration', configuration ? `${configuration.configurationId} with members ${members}` : unsaid],
    [
      'log',
      `entries ${found.trimmedIndex ?? '?'} to ${found.endIndex ?? '?'}, decided ${found.decidedIndex ?? '?'}, ` +
        `${found.logRecords ?? '?'} records written, ${found.logBytes ?? '?'} bytes`,
    ],
    [
      'state',
      `applied ${found.appliedIndex ?? '(no checkpoint yet)'}, ${countOf(found.keys, 'key')}, ${countOf(found.sessions, 'session')}, ${found.stateBytes} bytes`,
    ],
  ];
  return formatTable(rows, []);
}

/** Each problem, for people, a line each. */
export function describeProblems({ problems }: VerifyReport): string[] {
  return problems.map(({ file, where, problem, isUnread }) => {
    const what = isUnread === true ? 'could not be read' : 'is damaged';
    return `${file} ${what}${where === undefined ? '' : ` at ${where}`}: ${problem}`;
  });
}

/** For people, in a word or two. */
export function verdictOn(found: VerifyReport): string {
  if (found.isSound) return 'sound';
  return isOnlyUnread(found) ? 'not read' : 'damaged';
}

/** The disk could not be read, and what could be is sound. */
export function isOnlyUnread({ problems }: VerifyReport): boolean {
  return problems.length > 0 && problems.every(({ isUnread }) => isUnread === true);
}
