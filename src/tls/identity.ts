import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { createSecureContext, type SecureContext } from 'node:tls';
import { InputError } from '../cluster/input-error.ts';

/** What a node or a client shows of itself, and whom it believes: PEM. Both ends of a connection show theirs. */
export interface TlsIdentity {
  /** The certificates of the authorities that are believed, one behind the other: whoever shows one of theirs is let in. */
  readonly ca: string;
  /** The own certificate, and behind it those that lead to its authority, if any. */
  readonly cert: string;
  /** Its private key, without a passphrase. */
  readonly key: string;
}

/** The names of the parts of a {@link TlsIdentity}. */
export const tlsParts = ['ca', 'cert', 'key'] as const satisfies readonly (keyof TlsIdentity)[];

/** TLS 1.3 alone: all that speaks this protocol has it. */
const minVersion = 'TLSv1.3';

const example = 'give { ca, cert, key }, texts in PEM';

const pemCertificate = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g;

/** What `node:tls` takes of it, at both ends. */
export function tlsSettings({ ca, cert, key }: TlsIdentity) {
  return { ca, cert, key, minVersion } as const;
}

/** For connections that are opened. `identity` has to be checked, see {@link checkTlsIdentity}. */
export function clientContext(identity: TlsIdentity): SecureContext {
  return createSecureContext(tlsSettings(identity));
}

/**
 * Throws an {@link InputError} if it cannot be used now. `nameOf` says how a part is called where it comes from: its option, or its file.
 */
export function checkTlsIdentity(identity: TlsIdentity, nameOf: (part: keyof TlsIdentity) => string): void {
  if (typeof identity !== 'object' || identity === null) throw new InputError(`tls is ${String(identity)}: ${example}`);
  for (const part of tlsParts) {
    if (typeof identity[part] !== 'string')
      throw new InputError(`${nameOf(part)} is ${typeof identity[part]}: ${example}`);
  }
  certificatesIn(identity.ca, nameOf('ca'));
  const [own] = certificatesIn(identity.cert, nameOf('cert'));
  if (!(own as X509Certificate).checkPrivateKey(privateKeyIn(identity.key, nameOf('key')))) {
    throw new InputError(`${nameOf('key')} is not the key of the certificate in ${nameOf('cert')}`);
  }
  const { validFromDate, validToDate } = datesOf(own as X509Certificate);
  const nowMs = Date.now();
  if (nowMs > validToDate.getTime()) {
    throw new InputError(`the certificate in ${nameOf('cert')} expired on ${validToDate.toISOString()}: renew it`);
  }
  if (nowMs < validFromDate.getTime()) {
    throw new InputError(`the certificate in ${nameOf('cert')} is not valid before ${validFromDate.toISOString()}`);
  }
}

function certificatesIn(text: string, name: string): X509Certificate[] {
  const found = text.match(pemCertificate) ?? [];
  if (found.length === 0) {
    throw new InputError(`${name} has no certificate: PEM is due, which begins with -----BEGIN CERTIFICATE-----`);
  }
  return found.map((pem) => {
    try {
      return new X509Certificate(pem);
    } catch (error) {
      throw new InputError(`${name} has a certificate that cannot be read: ${reasonOf(error)}`, { cause: error });
    }
  });
}

function privateKeyIn(text: string, name: string): KeyObject {
  if (/ENCRYPTED/.test(text)) throw new InputError(`the private key in ${name} has a passphrase: give one without`);
  try {
    return createPrivateKey(text);
  } catch (error) {
    throw new InputError(`${name} has no private key that can be read (${reasonOf(error)}): PEM is due`, {
      cause: error,
    });
  }
}

/** Node 20 has them as texts only, such as "Nov 29 02:00:00 2126 GMT". */
function datesOf({ validFrom, validTo }: X509Certificate): { validFromDate: Date; validToDate: Date } {
  return { validFromDate: new Date(validFrom), validToDate: new Date(validTo) };
}

/** OpenSSL's own words are in `reason`; the message has its file and line, too. */
function reasonOf(error: unknown): string {
  const { reason, message } = error as Error & { readonly reason?: string };
  return reason ?? message;
}
