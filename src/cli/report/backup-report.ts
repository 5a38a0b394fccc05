import type { BackupSummary } from '../../backup/backup-format.ts';
import { escapeBytes } from '../output.ts';
import { count } from './numbers.ts';

/** Bytes for people: `1,234 bytes`, `1.2 MiB`. */
export function size(bytes: number): string {
  const units = ['KiB', 'MiB', 'GiB', 'TiB'];
  let value = bytes;
  let unit = '';
  while (value >= 1024 && units.length > 0) {
    value /= 1024;
    unit = units.shift() as string;
  }
  return unit === '' ? `${count(bytes)} bytes` : `${value.toFixed(1)} ${unit}`;
}

/** What a backup is, as JSON for scripts. */
export function backupJson(backup: BackupSummary): Record<string, string | number> {
  const { format, clusterId, clusterName, nodeId, index, madeAt, pairs, bytes, fileBytes, sha256 } = backup;
  return {
    ...{ format, clusterId, cluster: clusterName, node: nodeId, revision: index, madeAt },
    ...{ keys: pairs, bytes, fileBytes, fingerprint: sha256.slice(0, 16), sha256, checksum: 'ok' },
  };
}

/** The same in lines for people. */
export function describeBackup(backup: BackupSummary): string[] {
  const { format, clusterId, clusterName, nodeId, index, madeAt, pairs, bytes, fileBytes, sha256 } = backup;
  return [
    `cluster      ${escapeBytes(Buffer.from(clusterName))} (${clusterId}), read from node ${nodeId}`,
    `made at      ${madeAt}`,
    `revision     ${index}`,
    `keys         ${count(pairs)} (${size(bytes)} of keys and values)`,
    `file         ${size(fileBytes)}, format ${format}`,
    `sha-256      ${sha256} (checked: ok)`,
  ];
}
