import type { X509Certificate } from 'node:crypto';

/** Who may have signed what. */
export interface Signers {
  /** Those that are believed. */
  readonly authorities: readonly X509Certificate[];
  /** Those that are shown beside a certificate, and lead from it to an authority. */
  readonly between: readonly X509Certificate[];
}

/** When a certificate is valid, milliseconds since 1970. */
export interface Validity {
  readonly fromMs: number;
  readonly toMs: number;
}

/** Both are NaN where the certificate has no dates that can be read. */
export function validityOf({ validFrom, validTo }: X509Certificate): Validity {
  // Node 20 has them as texts only, such as "Nov 29 02:00:00 2126 GMT".
  return { fromMs: Date.parse(validFrom), toMs: Date.parse(validTo) };
}

export function isValidAt(certificate: X509Certificate, nowMs: number): boolean {
  const { fromMs, toMs } = validityOf(certificate);
  return fromMs <= nowMs && nowMs <= toMs;
}

/**
 * `own`, then who signed each, up to an authority that signed itself; all of them are usable. As OpenSSL has it: an authority that is believed
 * goes before one in between, even if it is not usable, and is itself not enough unless it signed itself. Undefined if there is no such chain.
 */
export function chainOf(
  own: X509Certificate,
  signers: Signers,
  isUsable: (certificate: X509Certificate) => boolean,
): readonly X509Certificate[] | undefined {
  const seen = new Set<X509Certificate>();
  const chainFrom = (at: X509Certificate): X509Certificate[] | undefined => {
    // One that was seen on another way led nowhere; on this one it would lead in a circle.
    if (seen.has(at) || !isUsable(at)) return undefined;
    seen.add(at);
    if (isSelfSigned(at)) return isAmong(signers.authorities, at) ? [at] : undefined;
    for (const one of signersOf(at, signers, at === own)) {
      const rest = chainFrom(one);
      if (rest !== undefined) return [at, ...rest];
    }
    return undefined;
  };
  return chainFrom(own);
}

/** `isOwn`: it counts as shown, and not as believed, even if it is among these. */
function signersOf(certificate: X509Certificate, { authorities, between }: Signers, isOwn: boolean): X509Certificate[] {
  const believed = authorities.filter((one) => isSignedBy(certificate, one));
  if (believed.length > 0 || (!isOwn && isAmong(authorities, certificate))) return believed;
  return between.filter((one) => isSignedBy(certificate, one));
}

/** That chain which is valid for the longest, whether it is now or not. */
export function lastingChainOf(own: X509Certificate, signers: Signers): readonly X509Certificate[] | undefined {
  const endOf = (certificate: X509Certificate) => validityOf(certificate).toMs;
  const ends = [own, ...signers.between, ...signers.authorities].map(endOf).filter((end) => end <= endOf(own));
  for (const end of ends.sort((a, b) => b - a)) {
    const chain = chainOf(own, signers, (certificate) => endOf(certificate) >= end);
    if (chain !== undefined) return chain;
  }
  return undefined;
}

/** As OpenSSL has it: whether its key may sign certificates is not asked then. */
export function isSelfSigned(certificate: X509Certificate): boolean {
  return certificate.subject === certificate.issuer && certificate.verify(certificate.publicKey);
}

export function isSignedBy(certificate: X509Certificate, signer: X509Certificate): boolean {
  return certificate.checkIssued(signer) && certificate.verify(signer.publicKey);
}

function isAmong(certificates: readonly X509Certificate[], one: X509Certificate): boolean {
  return certificates.some(({ raw }) => raw.equals(one.raw));
}
