import { constants, createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
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

/** What `node:tls` takes of it, at both ends. A ticket would let its holder in when the certificate has expired. */
export function tlsSettings({ ca, cert, key }: TlsIdentity) {
  return { ca, cert, key, minVersion, secureOptions: constants.SSL_OP_NO_TICKET } as const;
}

/** For connections that are opened. `identity` has to be checked, see {@link checkTlsIdentity}. */
export function clientContext(identity: TlsIdentity): SecureContext {
  return createSecureContext(tlsSettings(identity));
}

/** True if the certificate is for this host, a name or an address: else nobody who asks for it there believes it. */
export function isForHost({ cert }: TlsIdentity, host: string): boolean {
  const certificate = new X509Certificate(cert);
  return (isIP(host) === 0 ? certificate.checkHost(host) : certificate.checkIP(host)) !== undefined;
}

/** Whose an identity is: nodes are asked by others and ask each other, clients ask alone. */
export type TlsRole = 'node' | 'client';

/** How a part is called where it comes from: its option, or its file. */
type NameOf = (part: keyof TlsIdentity) => string;

/** Throws an {@link InputError} if it cannot be used now, or what others make of it would be a riddle. */
export function checkTlsIdentity(identity: TlsIdentity, role: TlsRole, nameOf: NameOf): void {
  if (typeof identity !== 'object' || identity === null) throw new InputError(`tls is ${String(identity)}: ${example}`);
  for (const part of tlsParts) {
    if (typeof identity[part] !== 'string')
      throw new InputError(`${nameOf(part)} is ${typeof identity[part]}: ${example}`);
  }
  const authorities = certificatesIn(identity.ca, nameOf('ca'));
  const [own, ...between] = certificatesIn(identity.cert, nameOf('cert')) as [X509Certificate, ...X509Certificate[]];
  if (!own.checkPrivateKey(privateKeyIn(identity.key, nameOf('key')))) {
    throw new InputError(`${nameOf('key')} is not the key of the certificate in ${nameOf('cert')}`);
  }
  const problem = datesProblem(own) ?? curveProblem(own) ?? purposeProblem(own, role);
  if (problem !== undefined) throw new InputError(`the certificate in ${nameOf('cert')} ${problem}`);
  // Clients may have one of an authority that only nodes believe.
  if (role === 'node' && !leadsTo(authorities, own, between)) {
    throw new InputError(
      `the certificate in ${nameOf('cert')} is not signed by an authority in ${nameOf('ca')}: other nodes would reject this one`,
    );
  }
  checkWithOpenSsl(identity, nameOf);
}

function datesProblem(certificate: X509Certificate): string | undefined {
  // Node 20 has them as texts only, such as "Nov 29 02:00:00 2126 GMT".
  const [from, to] = [new Date(certificate.validFrom), new Date(certificate.validTo)];
  const nowMs = Date.now();
  if (nowMs > to.getTime()) return `expired on ${to.toISOString()}: renew it`;
  if (nowMs < from.getTime()) return `is not valid before ${from.toISOString()}`;
  return undefined;
}

const curves: readonly unknown[] = ['prime256v1', 'secp384r1', 'secp521r1'];

function curveProblem({ publicKey }: X509Certificate): string | undefined {
  const { asymmetricKeyType, asymmetricKeyDetails } = publicKey;
  const curve = asymmetricKeyDetails?.namedCurve;
  if (asymmetricKeyType !== 'ec' || curves.includes(curve)) return undefined;
  return `has a key on the curve ${curve}, which TLS 1.3 does not have: take one of ${curves.join(', ')}`;
}

/** Object identifiers of what an extended key usage allows. */
const purposes = { serverAuth: '1.3.6.1.5.5.7.3.1', clientAuth: '1.3.6.1.5.5.7.3.2' } as const;

/** One without such an extension is for everything. */
function purposeProblem({ keyUsage }: X509Certificate, role: TlsRole): string | undefined {
  const needed = role === 'node' ? (['serverAuth', 'clientAuth'] as const) : (['clientAuth'] as const);
  const missing = keyUsage === undefined ? [] : needed.filter((name) => !keyUsage.includes(purposes[name]));
  if (missing.length === 0) return undefined;
  const why = role === 'node' ? 'nodes are asked by others, and ask each other' : 'it is shown by who asks';
  return `has an extended key usage without ${missing.join(' and ')}: ${why}`;
}

/** True if one of the authorities has issued `own`, or what has issued it of those `between`. */
function leadsTo(
  authorities: readonly X509Certificate[],
  own: X509Certificate,
  between: readonly X509Certificate[],
): boolean {
  let certificate: X509Certificate | undefined = own;
  for (let step = 0; certificate !== undefined && step <= between.length; step++) {
    const at: X509Certificate = certificate;
    if (authorities.some((authority) => authority.raw.equals(at.raw) || isIssuedBy(at, authority))) return true;
    certificate = between.find((one) => isIssuedBy(at, one));
  }
  return false;
}

function isIssuedBy(certificate: X509Certificate, issuer: X509Certificate): boolean {
  return certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);
}

/** It refuses more, such as keys that are too short. */
function checkWithOpenSsl(identity: TlsIdentity, nameOf: NameOf): void {
  try {
    clientContext(identity);
  } catch (error) {
    const files = tlsParts.map(nameOf).join(', ');
    throw new InputError(`what is in ${files} cannot be used: ${reasonOf(error)}`, { cause: error });
  }
}

function certificatesIn(text: string, name: string): X509Certificate[] {
  const found = text.match(pemCertificate) ?? [];
  const begun = text.match(/-----BEGIN [A-Z ]*CERTIFICATE-----/g) ?? [];
  if (begun.length === 0) {
    throw new InputError(`${name} has no certificate: expected PEM, which begins with -----BEGIN CERTIFICATE-----`);
  }
  if (found.length < begun.length) {
    throw new InputError(
      `${name} has a certificate that does not end, or is none of the plain kind, BEGIN CERTIFICATE`,
    );
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
    throw new InputError(`${name} has no private key that can be read (${reasonOf(error)}): expected PEM`, {
      cause: error,
    });
  }
}

/** OpenSSL's own words are in `reason`; the message has its file and line, too. */
function reasonOf(error: unknown): string {
  const { reason, message } = error as Error & { readonly reason?: string };
  return reason ?? message;
}
