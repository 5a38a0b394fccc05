import { formatTable } from './output.ts';

/** What `kv verify` found, as the storage tells it. */
export interface VerifyFindings {
  readonly path: string;
  readonly isSound: boolean;
  readonly problems: readonly { readonly file: string; readonly where: string | undefined; readonly problem: string }[];
  readonly nodeId: number | undefined;
  readonly storageId: string | undefined;
  readonly clusterName: string | undefined;
  readonly clusterId: string | undefined;
  readonly configuration:
    | { readonly configurationId: number; readonly members: readonly { readonly id: number }[] }
    | undefined;
  readonly trimmedIndex: number | undefined;
  readonly endIndex: number | undefined;
  readonly decidedIndex: number | undefined;
  readonly appliedIndex: number | undefined;
  readonly logRecords: number | undefined;
  readonly logBytes: number | undefined;
  readonly keys: number;
  readonly sessions: number;
  readonly stateBytes: number;
}

/** The findings as JSON has them: what is not known is `null`, so that every field is always there. */
export function verifyJson({ problems, ...found }: VerifyFindings) {
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
export function describeContents(found: VerifyFindings): string[] {
  const { configuration } = found;
  const members = configuration?.members.map(({ id }) => id).join(', ');
  const rows = [
    ['directory', found.path],
    ['node', `${found.nodeId ?? '?'}, storage id ${found.storageId ?? '?'}`],
    ['cluster', `${found.clusterId ?? '(none yet)'} "${found.clusterName ?? '?'}"`],
    ['configuration', configuration ? `${configuration.configurationId} with members ${members}` : '(none yet)'],
    [
      'log',
      `entries ${found.trimmedIndex ?? '?'} to ${found.endIndex ?? '?'}, decided ${found.decidedIndex ?? '?'}, ` +
        `${found.logRecords ?? '?'} records written, ${found.logBytes ?? '?'} bytes`,
    ],
    [
      'state',
      `applied ${found.appliedIndex ?? '(no checkpoint yet)'}, ${found.keys} keys, ${found.sessions} sessions, ${found.stateBytes} bytes`,
    ],
  ];
  return formatTable(rows, []);
}

/** Each problem, for people, a line each. */
export function describeProblems({ problems }: VerifyFindings): string[] {
  return problems.map(
    ({ file, where, problem }) => `${file} is damaged${where === undefined ? '' : ` at ${where}`}: ${problem}`,
  );
}
