/**
 * The commands that make a node with a damaged data directory whole again. `startArguments` are those that it starts with; `isAlone`: its
 * cluster file names no other.
 */
export function rebuildRemedy(nodeId: number | undefined, startArguments: readonly string[], isAlone = false): string {
  const id = nodeId === undefined ? 'ID' : `${nodeId}`;
  const isNamed = startArguments.some((argument) => argument === '--id' || argument.startsWith('--id='));
  const words = ['kv start', ...(isNamed ? [] : ['--id', id]), ...startArguments.map(quoted), '--rebuild'];
  const remedy = `to make node ${id} whole from the others: ${words.join(' ')}, then kv member rebuild ${id}`;
  return isAlone
    ? `${remedy}; if it is the only member, nobody else has its data: kv backup restore begins anew with a backup`
    : remedy;
}

/**
 * What is wrong with a member that lost its directory, or was started with another one, and what to do. `hasMajority`: without one no vote can
 * be moved.
 */
export function otherDirectory(id: number, hasMajority: boolean): string {
  const lost = hasMajority ? `, or, if it is lost, \`kv member rebuild ${id}\` moves its vote` : '';
  return `came with another data directory than it votes with, and takes no part: start it with that one${lost}`;
}

/** A failure of a node that `kv start --rebuild` mends. */
export function isDamage(error: unknown): error is Error {
  if (!(error instanceof Error)) return false;
  const { code } = error as { code?: unknown };
  return code === 'damaged' && (error.name === 'DamagedError' || error.name === 'DataDirectoryError');
}

/** Damage, told with what mends it. */
export class DamagedNodeError extends Error {
  // The name by which exit-codes.ts knows it.
  override readonly name = 'DamagedError';
  readonly code = 'damaged';

  constructor(damage: Error, remedy: string) {
    super(`${damage.message}; ${remedy}`, { cause: damage });
  }
}

function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
