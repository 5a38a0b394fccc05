import { statSync } from 'node:fs';
import type { TlsFiles } from '../cluster/cluster-file.ts';
import { readTlsFiles } from '../tls/files.ts';
import { type TlsIdentity, type TlsRole, tlsParts } from '../tls/identity.ts';

/** How often the files are looked at, milliseconds. */
const lookMs = 60_000;

/** What is shown, and where it was read. */
export interface ShownTls {
  readonly files: TlsFiles;
  readonly role: TlsRole;
  readonly shown: TlsIdentity;
}

type Say = (level: 'info' | 'warn', message: string, fields?: Readonly<Record<string, unknown>>) => void;

/**
 * Has a node or a client show what is in the files once it has changed, so that certificates are renewed without a restart. What cannot be used,
 * such as a key whose certificate is yet to be written, is told of once and looked at again. Gives what ends that; it does not keep the process.
 */
export function renewTls(
  { files, role, shown: first }: ShownTls,
  owner: { renewTls(tls: TlsIdentity): void },
  say: Say,
  everyMs = lookMs,
): () => void {
  let shown = first;
  let told: string | undefined;
  const look = () => {
    try {
      // To read a pipe would keep the process waiting.
      if (!tlsParts.every((part) => isFile(files[part]))) return;
      const tls = readTlsFiles(files, role);
      told = undefined;
      if (tlsParts.every((part) => tls[part] === shown[part])) return;
      owner.renewTls(tls);
      shown = tls;
      say('info', 'new connections show the renewed certificate', { cert: files.cert });
    } catch (error) {
      // Whatever it is, it must not end who asked for no more than a look.
      const reason = error instanceof Error ? error.message : String(error);
      if (reason !== told) say('warn', 'TLS stays as it was', { reason });
      told = reason;
    }
  };
  const timer = setInterval(look, everyMs).unref();
  return () => clearInterval(timer);
}

/** One that is not there is for the reader to tell of. */
function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() ?? true;
}
