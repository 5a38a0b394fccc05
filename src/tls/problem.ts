/** Why there is no connection. */
export interface TlsProblem {
  /**
   * - `unreachable`: it may be another in a moment.
   * - `notKvNode`: what answers does not speak TLS as we do.
   * - `untrusted`: one of the two does not believe the other.
   */
  readonly kind: 'unreachable' | 'notKvNode' | 'untrusted';
  /** In words for people that follow the address. */
  readonly reason: string;
}

/** What `error` is, if that is a matter of TLS; else undefined. `isSecure`: this end speaks TLS; `isEarly`: nothing of the protocol came before. */
export function tlsProblemOf(error: Error, isSecure: boolean, isEarly: boolean): TlsProblem | undefined {
  const { code = '', reason = code } = error as Error & { readonly code?: string; readonly reason?: string };
  if (code === 'ECONNRESET' && isEarly) {
    // Node says nothing to those whom it does not believe.
    const why = isSecure
      ? ': is this certificate still valid, and of an authority that the node believes?'
      : ' (as by a node that takes only connections with TLS)';
    return { kind: 'unreachable', reason: `connection reset${why}` };
  }
  if (!isSecure) return undefined;
  const untrusted = (words: string): TlsProblem => ({ kind: 'untrusted', reason: `answers, but ${words}` });
  if (isNoTls(error)) return { kind: 'notKvNode', reason: `answers, but without TLS (${reason})` };
  if (/^ERR_SSL_.*ALERT_.*(CERTIFICATE|UNKNOWN_CA)/.test(code)) {
    return untrusted(`does not take our certificate (${reason})`);
  }
  if (code === 'EPROTO' || code.startsWith('ERR_SSL_'))
    return { kind: 'notKvNode', reason: `answers, but TLS fails (${reason})` };
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') return untrusted(`its certificate is for another name: ${reason}`);
  if (verifyCodes.has(code)) return untrusted(`its certificate is not believed: ${error.message} (${code})`);
  return undefined;
}

/** What OpenSSL makes of an answer in plain HTTP; of its codes some come of other things, too. */
function isNoTls({ message }: Error): boolean {
  return /wrong version number|packet length too long|record layer failure/.test(message);
}

/** Of OpenSSL's codes for certificates those that a chain can end with. */
const verifyCodes: ReadonlySet<string> = new Set([
  ...['SELF_SIGNED_CERT_IN_CHAIN', 'DEPTH_ZERO_SELF_SIGNED_CERT', 'UNABLE_TO_VERIFY_LEAF_SIGNATURE'],
  ...['UNABLE_TO_GET_ISSUER_CERT', 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY', 'CERT_SIGNATURE_FAILURE'],
  ...['CERT_HAS_EXPIRED', 'CERT_NOT_YET_VALID', 'CERT_UNTRUSTED', 'CERT_REJECTED', 'INVALID_CA', 'INVALID_PURPOSE'],
]);
