import { InputError } from './input-error.ts';
/*
 * Whence the first state of a cluster came, if it did not begin empty.
 *
 * A cluster that is restored from a backup, or recovered from what is left of another, is a new cluster: it has an id of its own, and
 * its log begins far above every index that the old one can have given. So no revision and no session id is given twice, and a
 * condition or a watch that remembers one of the old cluster never fits by chance.
 */

/** What a first member of such a cluster begins with. Members that begin with something must all begin with the same. */
export interface Origin {
  readonly kind: 'restored' | 'recovered';
  /** The cluster whose data it is: 16 hexadecimal digits. */
  readonly clusterId: string;
  /** Where the log of the new cluster begins: the applied index of the state that it begins with. */
  readonly index: number;
  /** 16 hexadecimal digits that differ where the data differs. */
  readonly fingerprint: string;
  /** When the backup, or the recovery, was made: ISO 8601. */
  readonly madeAt: string;
}

/** What of another node tells where it belongs. */
export interface Belonging {
  readonly nodeId: number;
  readonly clusterId: string | undefined;
  readonly origin?: Origin | undefined;
}

/**
 * Indexes come in ranges of 2^40: 127 days of 100,000 entries a second. A new cluster leaves at least one whole range between the
 * index of the data that it begins with and its own first index, for what the old cluster has given out, or yet may.
 */
const rangeEntries = 2 ** 40;
/** Indexes are whole numbers of 53 bits. Some 8,000 ranges: as many clusters, each made from the one before. */
const rangesMax = 2 ** 52 / rangeEntries;

/**
 * The first index of a cluster whose data is that of `index`, or of which another was made that came as far as that. `again`: how often a
 * cluster was made of this same data before, each of which gets a range of its own. Throws {@link InputError} when there are no indexes left.
 */
export function firstIndexAfter(index: number, again = 0): number {
  const range = Math.floor(index / rangeEntries) + 2 + again;
  if (range >= rangesMax) throw new InputError(`there is no range of log indexes left above ${index}`);
  return range * rangeEntries;
}

export function isSameOrigin(a: Origin | undefined, b: Origin | undefined): boolean {
  return (
    a?.kind === b?.kind && a?.clusterId === b?.clusterId && a?.index === b?.index && a?.fingerprint === b?.fingerprint
  );
}

/** In words for people, such as `a backup of cluster 0123456789abcdef made on … (fingerprint …, index …)`. */
export function describeOrigin({ kind, clusterId, madeAt, fingerprint, index }: Origin): string {
  const what = kind === 'restored' ? 'a backup of cluster' : 'the recovery of cluster';
  return `${what} ${clusterId} made on ${madeAt} (fingerprint ${fingerprint}, index ${index})`;
}

/** Why two nodes that belong to different clusters are not linked, where one cluster was made out of the other. */
export function formerClusterProblem(one: Belonging, other: Belonging): string | undefined {
  return formerProblem(one, other) ?? formerProblem(other, one);
}

function formerProblem(present: Belonging, former: Belonging): string | undefined {
  const { origin } = present;
  if (origin === undefined || former.clusterId !== origin.clusterId || present.clusterId === former.clusterId) {
    return undefined;
  }
  const which = present.clusterId === undefined ? 'a new cluster' : `cluster ${present.clusterId}`;
  const how =
    origin.kind === 'recovered'
      ? `was recovered from cluster ${origin.clusterId} on ${origin.madeAt}`
      : `was restored from a backup of cluster ${origin.clusterId} made on ${origin.madeAt}`;
  return (
    `${which} ${how}, and the data of node ${former.nodeId} is of that former cluster: ` +
    `set its data directory aside and start node ${former.nodeId} with an empty one`
  );
}
