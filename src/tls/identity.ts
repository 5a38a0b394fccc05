import { constants, createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { createSecureContext, type SecureContext } from 'node:tls';
import { InputError } from '../cluster/input-error.ts';
import { chainOf, isSelfSigned, isSignedBy, isValidAt, lastingChainOf, type Signers, validityOf } from './chain.ts';

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
  const { own, signers } = certificatesOf(identity, nameOf);
  if (!own.checkPrivateKey(privateKeyIn(identity.key, nameOf('key')))) {
    throw new InputError(`${nameOf('key')} is not the key of the certificate in ${nameOf('cert')}`);
  }
  const nowMs = Date.now();
  const problem = datesProblem(own, nowMs) ?? curveProblem(own) ?? purposeProblem(own, role);
  if (problem !== undefined) throw new InputError(`the certificate in ${nameOf('cert')} ${problem}`);
  // Clients may have one of an authority that only nodes believe.
  if (role === 'node') checkChain(own, signers, nowMs, nameOf);
  checkWithOpenSsl(identity, nameOf);
}

/** The own certificate of an identity, and who may have signed it. Throws an {@link InputError} if they cannot be read. */
export function certificatesOf({ ca, cert }: TlsIdentity, nameOf: NameOf): { own: X509Certificate; signers: Signers } {
  const authorities = certificatesIn(ca, nameOf('ca'));
  const [own, ...between] = certificatesIn(cert, nameOf('cert')) as [X509Certificate, ...X509Certificate[]];
  return { own, signers: { authorities, between } };
}

/** Throws where others would not believe this one, nor would it believe them: nobody would say why. */
function checkChain(own: X509Certificate, signers: Signers, nowMs: number, nameOf: NameOf): void {
  const isValid = (certificate: X509Certificate) => isValidAt(certificate, nowMs);
  if (chainOf(own, signers, isValid) !== undefined) return;
  const signed = `the certificate in ${nameOf('cert')} is`;
  const invalid = lastingChainOf(own, signers)?.find((certificate) => !isValid(certificate));
  if (invalid === undefined) {
    const rootless = signers.authorities.find((one) => isSignedBy(own, one) && !isSelfSigned(one));
    if (rootless === undefined)
      throw new InputError(
        `${signed} not signed by an authority in ${nameOf('ca')}: other nodes would reject this one`,
      );
    const root = `"${rootless.issuer.replaceAll('\n', ', ')}"`;
    throw new InputError(`${signed} signed by one in ${nameOf('ca')} that ${root} has signed: add that one there`);
  }
  const name = nameOf(partOf(invalid, signers));
  throw new InputError(`${signed} signed by one in ${name} that ${datesProblem(invalid, nowMs)}`);
}

/** In which part one of the chain of an identity is. */
export function partOf(certificate: X509Certificate, { authorities }: Signers): 'ca' | 'cert' {
  return authorities.includes(certificate) ? 'ca' : 'cert';
}

function datesProblem(certificate: X509Certificate, nowMs: number): string | undefined {
  const { fromMs, toMs } = validityOf(certificate);
  if (Number.isNaN(fromMs) || Number.isNaN(toMs)) return 'has dates that cannot be read';
  if (nowMs > toMs) return `expired on ${new Date(toMs).toISOString()}: renew it`;
  if (nowMs < fromMs) return `is not valid before ${new Date(fromMs).toISOString()}`;
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
