import { readFileSync } from 'node:fs';
import type { TlsFiles } from '../cluster/cluster-file.ts';
import { InputError } from '../cluster/input-error.ts';
import { checkTlsIdentity, type TlsIdentity, type TlsRole } from './identity.ts';

/** Reads and checks it. Throws {@link InputError} that names the file. */
export function readTlsFiles(files: TlsFiles, role: TlsRole): TlsIdentity {
  const read = (part: keyof TlsFiles) => {
    try {
      return readFileSync(files[part], 'utf8');
    } catch (error) {
      throw new InputError(`${files[part]}, the ${part} of TLS, cannot be read: ${(error as Error).message}`, {
        cause: error,
      });
    }
  };
  const identity = { ca: read('ca'), cert: read('cert'), key: read('key') };
  checkTlsIdentity(identity, role, (part) => files[part]);
  return identity;
}
