import { readFileSync } from 'node:fs';
import type { TlsFiles } from '../cluster/cluster-file.ts';
import { InputError } from '../cluster/input-error.ts';
import { checkTlsIdentity, type TlsIdentity, type TlsRole } from './identity.ts';

/** Reads and checks it. Throws {@link InputError} that names the file. */
export function readTlsFiles(files: TlsFiles, role: TlsRole): TlsIdentity {
  const identity = readTlsTexts(files);
  checkTlsTexts(identity, files, role);
  return identity;
}

/** Reads what is to be checked: see {@link checkTlsTexts}. Throws {@link InputError} that names the file. */
export function readTlsTexts(files: TlsFiles): TlsIdentity {
  const read = (part: keyof TlsFiles) => {
    try {
      return readFileSync(files[part], 'utf8');
    } catch (error) {
      throw new InputError(`${files[part]}, the ${part} of TLS, cannot be read: ${(error as Error).message}`, {
        cause: error,
      });
    }
  };
  return { ca: read('ca'), cert: read('cert'), key: read('key') };
}

/** Checks what was read in `files`. Throws {@link InputError} that names the file. */
export function checkTlsTexts(identity: TlsIdentity, files: TlsFiles, role: TlsRole): void {
  checkTlsIdentity(identity, role, (part) => files[part]);
}
