import type { ListedNode } from '../../cluster/node-list.ts';

/** What a reconfiguration starts from. */
export interface CurrentMembers {
  readonly configurationId: number;
  /** Those that are members, and others, which do not count. */
  readonly members: readonly { readonly id: number; readonly address: string; readonly isMember: boolean }[];
}

/** What a reconfiguration is going to change. */
export interface ReconfigurationPlan {
  readonly configurationId: number;
  /** As they are to be proposed. */
  readonly nodes: readonly ListedNode[];
  readonly before: readonly number[];
  readonly added: readonly ListedNode[];
  readonly removed: readonly number[];
  /** Members that go on under another address. */
  readonly moved: readonly { readonly id: number; readonly from: string; readonly to: string }[];
}

/** Where a node is, if that is known: by the cluster file, or a rule. */
export type AddressOf = (id: number) => string | undefined;

/**
 * Works out what changes. A newcomer without an address takes the one that is known for it, if any; else the nodes settle it.
 */
export function planReconfiguration(
  current: CurrentMembers,
  wanted: readonly ListedNode[],
  addressOf: AddressOf,
): ReconfigurationPlan {
  const members = current.members.filter(({ isMember }) => isMember);
  const addresses = new Map(members.map(({ id, address }) => [id, address]));
  const nodes = wanted.map((node) => (addresses.has(node.id) ? node : withAddress(node, addressOf(node.id))));
  const wantedIds = new Set(nodes.map(({ id }) => id));
  return {
    configurationId: current.configurationId,
    nodes,
    before: [...addresses.keys()],
    added: nodes.filter(({ id }) => !addresses.has(id)),
    removed: [...addresses.keys()].filter((id) => !wantedIds.has(id)),
    moved: nodes.flatMap(({ id, address }) => {
      const from = addresses.get(id);
      return from === undefined || address === undefined || from === address ? [] : [{ id, from, to: address }];
    }),
  };
}

/** The plan for people, a line each. */
export function describePlan(plan: ReconfigurationPlan): string[] {
  const after = plan.nodes.map(({ id }) => id);
  return [
    `from configuration ${plan.configurationId} with members ${plan.before.join(', ')}`,
    `  to configuration ${plan.configurationId + 1} with members ${after.join(', ')}`,
    ...plan.added.map(({ id, address }) => `  added: ${id}${address === undefined ? '' : ` at ${address}`}`),
    ...plan.removed.map((id) => `  removed: ${id} (stands by from then on)`),
    ...plan.moved.map(({ id, from, to }) => `  moved: ${id} from ${from} to ${to}`),
    `  fault tolerance: ${describeTolerance(after.length)} (was ${describeTolerance(plan.before.length)})`,
  ];
}

/** True if it asks for what is there already. */
export function changesNothing({ added, removed, moved }: ReconfigurationPlan): boolean {
  return added.length + removed.length + moved.length === 0;
}

/** How many of `memberCount` nodes may fail. */
export function faultTolerance(memberCount: number): number {
  return Math.max(0, Math.ceil(memberCount / 2) - 1);
}

/** The same for people. */
export function describeTolerance(memberCount: number): string {
  const count = faultTolerance(memberCount);
  return `${count === 0 ? 'no node' : count === 1 ? '1 node' : `${count} nodes`} of ${memberCount} may fail`;
}

function withAddress(node: ListedNode, known: string | undefined): ListedNode {
  return node.address === undefined && known !== undefined ? { id: node.id, address: known } : node;
}
