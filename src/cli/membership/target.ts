import { InputError } from '../../cluster/input-error.ts';
import type { ListedNode } from '../../cluster/node-list.ts';
import { parseNodeList } from '../../cluster/node-list.ts';
import { membersMax } from '../../wire/limits.ts';
import { CommandError } from '../exit-codes.ts';

/** The members of now, from which the next ones are worked out. */
export type PresentMembers = readonly { readonly id: number; readonly address: string }[];

/** Who the members are to be, given who they are. Throws a {@link CommandError} if that makes no sense. */
export type Target = (present: PresentMembers) => ListedNode[];

/** Reads ids, or `id=host:port`, each an argument or several with commas between. Throws {@link InputError}. */
export function parseNodes(words: readonly string[]): ListedNode[] {
  const flag = words.find((word) => word.startsWith('-'));
  if (flag !== undefined) throw new InputError(`there is no flag ${flag}`);
  return parseNodeList(words.join(','), membersMax);
}

/** Exactly these. */
export function toExactly(nodes: readonly ListedNode[]): Target {
  return () => [...nodes];
}

/** These beside those that are there. One that is a member already stays: the command may be a repeated one. */
export function byAdding(nodes: readonly ListedNode[]): Target {
  return (present) => {
    refuseMoved(nodes, present);
    const others = present.filter(({ id }) => !isAmong(nodes, id));
    return ascending([...others.map(({ id }) => ({ id })), ...nodes]);
  };
}

/** Those that are there without these. Throws {@link InputError} if an address is given. */
export function byRemoving(nodes: readonly ListedNode[]): Target {
  const addressed = nodes.find(({ address }) => address !== undefined);
  if (addressed) throw new InputError(`node ${addressed.id} is to be removed: write its id alone`);
  return (present) => {
    refuseStrangers(nodes, present);
    const left = present.filter(({ id }) => !isAmong(nodes, id)).map(({ id }) => ({ id }));
    if (left.length > 0) return left;
    throw new CommandError(
      'conditionFailed',
      'lastMember',
      'a cluster keeps at least one member: nobody would be left',
    );
  };
}

/** The first goes, the second comes; where that has happened it stays so: the command may be a repeated one. Throws {@link InputError} unless both are single nodes, and two. */
export function byReplacing(olds: readonly ListedNode[], news: readonly ListedNode[]): Target {
  const [old, ...moreOld] = olds;
  const [next, ...moreNew] = news;
  if (!old || !next || moreOld.length > 0 || moreNew.length > 0 || old.address !== undefined) {
    throw new InputError(
      'one node takes the place of one: write OLD NEW or OLD NEW=host:port; kv reconfigure changes more',
    );
  }
  if (old.id === next.id) {
    throw new InputError(`node ${old.id} cannot take its own place: kv reconfigure changes its address`);
  }
  return (present) => {
    const [isOldThere, isNextThere] = [isAmong(present, old.id), isAmong(present, next.id)];
    if (isOldThere && isNextThere) {
      // To take the old one out all the same would leave one member less.
      const message = `node ${next.id} is a member already, as is node ${old.id}: kv member remove ${old.id} takes that one out`;
      throw new CommandError('conditionFailed', 'alreadyMember', message);
    }
    if (!isNextThere) refuseStrangers([old], present);
    return byAdding([next])(present).filter(({ id }) => id !== old.id);
  };
}

function refuseStrangers(nodes: readonly ListedNode[], present: PresentMembers): void {
  const strangers = nodes.filter(({ id }) => !isAmong(present, id));
  if (strangers.length === 0) return;
  const members = present.map(({ id }) => id).join(', ');
  const who = strangers.map(({ id }) => id).join(', ');
  const what = strangers.length > 1 ? `nodes ${who} are no members` : `node ${who} is no member`;
  throw new CommandError('conditionFailed', 'notMember', `${what}: the members are ${members}`);
}

/** To move a member is another thing than to add a node. */
function refuseMoved(nodes: readonly ListedNode[], present: PresentMembers): void {
  for (const { id, address } of nodes) {
    const member = present.find((one) => one.id === id);
    if (member === undefined || address === undefined || address === member.address) continue;
    const message = `node ${id} is a member already, at ${member.address}: kv reconfigure changes the address of a member`;
    throw new CommandError('conditionFailed', 'alreadyMember', message);
  }
}

function isAmong(nodes: readonly { readonly id: number }[], id: number): boolean {
  return nodes.some((node) => node.id === id);
}

function ascending(nodes: ListedNode[]): ListedNode[] {
  return nodes.sort((a, b) => a.id - b.id);
}
