import { readFileSync } from 'node:fs';
import { InputError } from './input-error.ts';
import { checkTlsIdentity, type TlsIdentity } from './tls.ts';

/** Where a {@link TlsIdentity} is to be read: paths. */
export type TlsFiles = { readonly [Part in keyof TlsIdentity]: string };

/** Reads and checks it. Throws {@link InputError} that names the file. */
export function readTlsFiles(files: TlsFiles): TlsIdentity {
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
  checkTlsIdentity(identity, (part) => files[part]);
  return identity;
}
