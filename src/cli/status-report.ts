import type { NodeRole } from '../wire/client-message.ts';
import { formatTable } from './output.ts';

/** What is known of a cluster: what `kv status --json` writes, field for field. */
export interface StatusReport {
  readonly clusterId: string | undefined;
  readonly configurationId: number;
  readonly leader: number | undefined;
  readonly members: readonly StatusOfNode[];
}

/** One node in a {@link StatusReport}. */
export interface StatusOfNode {
  readonly id: number;
  readonly address: string;
  readonly role: NodeRole;
  /** Undefined where the node did not answer. */
  readonly decidedIndex: number | undefined;
  readonly appliedIndex: number | undefined;
}

/** The report as JSON has it: what is not known is `null`, so that every field is always there. */
export function statusJson(report: StatusReport) {
  return {
    clusterId: report.clusterId ?? null,
    configurationId: report.configurationId,
    leader: report.leader ?? null,
    members: report.members.map(({ id, address, role, decidedIndex, appliedIndex }) => ({
      id,
      address,
      role,
      decidedIndex: decidedIndex ?? null,
      appliedIndex: appliedIndex ?? null,
    })),
  };
}

/** The report for people, a line each. */
export function describeStatus(report: StatusReport): string[] {
  const leader = report.leader === undefined ? 'no leader' : `leader ${report.leader}`;
  const rows = report.members.map((node) => [
    `${node.id}`,
    node.address,
    node.role === 'leader' ? 'leader *' : node.role,
    `${node.decidedIndex ?? '-'}`,
    `${node.appliedIndex ?? '-'}`,
  ]);
  return [
    `cluster ${report.clusterId ?? '(not formed yet)'}, configuration ${report.configurationId}, ${leader}`,
    ...formatTable([['ID', 'ADDRESS', 'ROLE', 'DECIDED', 'APPLIED'], ...rows], [0, 3, 4]),
  ];
}
