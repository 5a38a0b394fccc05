import { createHash } from 'node:crypto';
import { type ByteString, ByteWriter, fromByteString } from '../base/bytes.ts';
import { firstIndexAfter, type Origin } from '../cluster/origin.ts';
import { KvStateMachine } from '../kv/state-machine.ts';
import type { SnapshotRow } from '../kv/state-store.ts';
import type { Entry } from '../omnipaxos/entry.ts';
import type { DirectoryReading } from '../storage/directory/read-directory.ts';
import { seedDataDirectory } from '../storage/directory/seed-directory.ts';
import { fingerprintOf } from './backup-format.ts';
import type { Salvage } from './survivors.ts';

/** Where the recovered data goes. */
export interface RecoveryTarget {
  readonly directory: string;
  readonly nodeId: number;
  readonly clusterName: string;
  readonly clusterId: string;
  /** A revision above which those of the new cluster are to begin; 0: those of the old one are enough. */
  readonly above: number;
}

export interface Recovered {
  readonly origin: Origin;
  readonly pairs: number;
  /** A change of members that was accepted and not known to be decided: ids of the nodes. It has no effect on the new cluster. */
  readonly openReconfiguration: readonly number[] | undefined;
}

const entriesPerRead = 4096;
const pagePairs = 10_000;
const pageBytes = 1024 * 1024;

/**
 * Makes the data directory of a first member of a new cluster out of what is left of another: the state of `base`, and all entries up
 * to `endIndex` applied to it. The survivors' directories are only read. Sessions of clients are left out, as in a backup: they are
 * of the old cluster. Rejects with a DataDirectoryError or a DamagedError.
 */
export async function recoverInto(salvage: Salvage, target: RecoveryTarget): Promise<Recovered> {
  const { machine, openReconfiguration } = applySalvage(salvage);
  const { endIndex, configuration } = salvage;
  const { clusterId, clusterName, nodeId, directory, above } = target;
  const { digest, pairs } = digestOf(machine, clusterId, endIndex);
  const origin: Origin = {
    kind: 'recovered',
    clusterId,
    index: firstIndexAfter(Math.max(endIndex, above, configuration?.startIndex ?? 0)),
    fingerprint: fingerprintOf(digest),
    madeAt: new Date().toISOString(),
  };
  await seedDataDirectory({ path: directory, nodeId, clusterName, origin, rows: pagesOf(machine) });
  return { origin, pairs, openReconfiguration };
}

/** The state that the salvaged entries come to. What is applied is staged in memory, over the state as it is on the disk. */
export function applySalvage({ base, certainIndex, tail, endIndex }: Salvage): {
  readonly machine: KvStateMachine;
  readonly openReconfiguration: readonly number[] | undefined;
} {
  const machine = new KvStateMachine(base.state);
  applyUpTo(machine, base, Math.min(certainIndex, base.head.endIndex));
  return { machine, openReconfiguration: tail && applyUpTo(machine, tail, endIndex) };
}

/**
 * Applies the entries that follow in the log of `reading`. A StopSign, decided or not, says nothing of the new cluster, whose
 * members are those that form it; but whose lack of space counted for the puts behind it. Gives the nodes of the last one.
 */
function applyUpTo(machine: KvStateMachine, reading: DirectoryReading, end: number): readonly number[] | undefined {
  let members: readonly number[] | undefined;
  for (let from = machine.appliedIndex; from < end; from = machine.appliedIndex) {
    for (const entry of reading.readLog(from, Math.min(end, from + entriesPerRead))) {
      members = applyEntry(machine, entry) ?? members;
    }
  }
  return members;
}

function applyEntry(machine: KvStateMachine, entry: Entry<Uint8Array>): readonly number[] | undefined {
  const index = machine.appliedIndex;
  if (entry.type === 'Normal') {
    machine.apply(index, entry.entry);
    return undefined;
  }
  const { configId, nodes, metadata } = entry.stopSign;
  machine.beginConfiguration(index, configId, metadata);
  return nodes;
}

/** Without the keys that expire: those are of who held them in the old cluster. */
function* pagesOf(machine: KvStateMachine): Generator<SnapshotRow[]> {
  const expiring = new Set([...machine.expiries].map(({ key }) => key));
  let after: ByteString | undefined;
  for (;;) {
    const page = { prefix: '', limit: pagePairs, bytesMax: pageBytes };
    const { pairs, more } = machine.range({ ...page, after });
    yield pairs.filter(({ key }) => !expiring.has(key)).map((pair) => ({ type: 'pair', ...pair }));
    after = pairs.at(-1)?.key;
    if (!more) return;
  }
}

/** The same for the same data: recovered twice from the same directories, it is the same. */
function digestOf(machine: KvStateMachine, clusterId: string, index: number): { digest: string; pairs: number } {
  const hash = createHash('sha256').update(new ByteWriter().text(clusterId).varuint(index).finish());
  let pairs = 0;
  for (const page of pagesOf(machine)) {
    for (const row of page) {
      if (row.type !== 'pair') continue;
      pairs++;
      hash.update(new ByteWriter().bytes(fromByteString(row.key)).bytes(row.value).varuint(row.revision).finish());
    }
  }
  return { digest: hash.digest('hex'), pairs };
}
