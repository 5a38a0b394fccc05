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
 * - `self-signed`: its own authority, with a key that may not sign others.
 */
export type Whose = 'node' | 'renewed' | 'elsewhere' | 'stranger' | 'expired' | 'server-only' | 'self-signed';

/**
 * - `ended-ca`: an authority that ran out in 2020; `ended-ca-anew`: the same anew.
 * - `outlasting`: what that one has signed, valid now.
 * - `below`: the same, by way of `between`; `ended-between`: that, run out in 2020.
 */
export type OfEndedCa = 'ended-ca' | 'ended-ca-anew' | 'outlasting' | 'between' | 'ended-between' | 'below';

/** Those certificates, one behind the other. */
function certificatesOf(...names: OfEndedCa[]): string {
  return names.map((name) => readFileSync(path(name), 'utf8')).join('');
}

/** What shows `own`, which is followed by those that lead to an authority in `ca`. */
export function tlsBelow(ca: OfEndedCa[], own: 'outlasting' | 'below', ...between: OfEndedCa[]): TlsIdentity {
  const key = readFileSync(path(`${own}-key`), 'utf8');
  return { ca: certificatesOf(...ca), cert: certificatesOf(own, ...between), key };
}

export function tlsFilesOf(whose: Whose): TlsFiles {
  const ca = whose === 'self-signed' ? whose : whose === 'stranger' ? 'other-ca' : 'ca';
  return { ca: path(ca), cert: path(whose), key: path(`${whose}-key`) };
}

export function tlsOf(whose: Whose): TlsIdentity {
  const { ca, cert, key } = tlsFilesOf(whose);
  return { ca: readFileSync(ca, 'utf8'), cert: readFileSync(cert, 'utf8'), key: readFileSync(key, 'utf8') };
}

function path(name: string): string {
  return fileURLToPath(new URL(`./${name}.pem`, import.meta.url));
}
