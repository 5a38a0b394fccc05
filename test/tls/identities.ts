import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { TlsFiles } from '../../src/cluster/cluster-file.ts';
import type { TlsIdentity } from '../../src/tls/identity.ts';

/**
 * - `node`: for 127.0.0.1, of the authority that all but `stranger` believe; `renewed`: the same anew.
 * - `elsewhere`: of that authority, for another host.
 * - `stranger`: of another authority, which it believes alone.
 * - `expired`: ran out in 2020.
 * - `server-only`: for those who are asked, and not for those who ask.
 */
export type Whose = 'node' | 'renewed' | 'elsewhere' | 'stranger' | 'expired' | 'server-only';

export function tlsFilesOf(whose: Whose): TlsFiles {
  const path = (name: string) => fileURLToPath(new URL(`./${name}.pem`, import.meta.url));
  return { ca: path(whose === 'stranger' ? 'other-ca' : 'ca'), cert: path(whose), key: path(`${whose}-key`) };
}

export function tlsOf(whose: Whose): TlsIdentity {
  const { ca, cert, key } = tlsFilesOf(whose);
  return { ca: readFileSync(ca, 'utf8'), cert: readFileSync(cert, 'utf8'), key: readFileSync(key, 'utf8') };
}
