import type { TlsFiles } from '../cluster/cluster-file.ts';
import { InputError } from '../cluster/input-error.ts';
import { readTlsFiles } from '../tls/files.ts';
import { type TlsIdentity, tlsParts } from '../tls/identity.ts';
import type { LogLevel } from './log-line.ts';

/** How often the files are looked at, milliseconds. */
const lookMs = 60_000;

/**
 * Has `node` show what is in the files once it has changed, so that certificates are renewed without a restart. What cannot be used, such as a
 * key whose certificate is yet to be written, is told of once and looked at again. It does not keep the process.
 */
export function renewTls(
  files: TlsFiles,
  first: TlsIdentity,
  node: { renewTls(tls: TlsIdentity): void },
  log: (level: LogLevel, message: string, fields?: Readonly<Record<string, unknown>>) => void,
  everyMs = lookMs,
): void {
  let shown = first;
  let told: string | undefined;
  const look = () => {
    try {
      const tls = readTlsFiles(files);
      told = undefined;
      if (tlsParts.every((part) => tls[part] === shown[part])) return;
      node.renewTls(tls);
      shown = tls;
      log('info', 'new connections show the renewed certificate', { cert: files.cert });
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      if (error.message !== told) log('warn', 'TLS stays as it was', { reason: error.message });
      told = error.message;
    }
  };
  setInterval(look, everyMs).unref();
}
