import type { SecureContext } from 'node:tls';
import { isWildcard, parseAddress } from '../cluster/address.ts';
import { endingOf } from './ending.ts';
import { checkTlsIdentity, clientContext, isForHost, type TlsIdentity } from './identity.ts';

/** What a node makes of its identity, each time that it is renewed. */
export interface NodeIdentity {
  /** For links that are dialled. */
  readonly secureContext: SecureContext;
  /** When what is shown ends, milliseconds since 1970. */
  readonly endMs: number;
}

/** Throws an {@link import('../cluster/input-error.ts').InputError} if no node can run with it. */
export function checkNodeTls(tls: TlsIdentity): void {
  checkTlsIdentity(tls, 'node', (part) => `tls.${part}`);
}

/** `tls` has to be checked, see {@link checkNodeTls}. */
export function nodeIdentityOf(tls: TlsIdentity): NodeIdentity {
  return { secureContext: clientContext(tls), endMs: endingOf(tls).toMs };
}

/** What to warn of where the certificate is not for the host in `address` ("host:port"). Others may know the node by another name. */
export function otherHostWarning(tls: TlsIdentity, address: string): string | undefined {
  const { host } = parseAddress(address);
  if (isWildcard(host) || isForHost(tls, host)) return undefined;
  return `the certificate is not for ${host}: whoever connects to it by that name will reject it`;
}
