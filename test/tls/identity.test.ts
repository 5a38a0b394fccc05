import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { readTlsFiles } from '../../src/tls/files.ts';
import { checkTlsIdentity, isForHost, type TlsIdentity, type TlsRole } from '../../src/tls/identity.ts';
import { type OfEndedCa, tlsBelow, tlsFilesOf, tlsOf } from '../tls/identities.ts';

const node = tlsOf('node');
const { privateKey: withPassphrase } = generateKeyPairSync('ec', {
  namedCurve: 'prime256v1',
  publicKeyEncoding: { type: 'spki', format: 'pem' },
  privateKeyEncoding: { type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'secret' },
});
const broken = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n';

function check(changes: Record<string, unknown>): void {
  checkTlsIdentity({ ...node, ...changes } as TlsIdentity, 'node', (part) => `the ${part}`);
}

test('an identity may have several authorities, and a chain, with text between them', () => {
  const other = tlsOf('stranger');
  expect(() => check({})).not.toThrow();
  expect(() => check({ ca: `# ours\n${node.ca}\n# theirs\n${other.ca}`, cert: node.cert + node.ca })).not.toThrow();
});

test.each<[string, Record<string, unknown>, string]>([
  ['no authority', { ca: '' }, 'the ca has no certificate: expected PEM'],
  ['a key where a certificate is due', { cert: node.key }, 'the cert has no certificate: expected PEM'],
  ['a broken authority', { ca: node.ca + broken }, 'the ca has a certificate that cannot be read'],
  ['a broken certificate', { cert: broken }, 'the cert has a certificate that cannot be read'],
  ['no key', { key: '' }, 'the key has no private key that can be read'],
  ['a certificate where a key is due', { key: node.cert }, 'the key has no private key that can be read'],
  ['a key with a passphrase', { key: withPassphrase }, 'the private key in the key has a passphrase: give one without'],
  [
    'the key of another certificate',
    { key: tlsOf('elsewhere').key },
    'the key is not the key of the certificate in the cert',
  ],
  [
    'what has expired',
    { cert: tlsOf('expired').cert, key: tlsOf('expired').key },
    'the certificate in the cert expired on 2020-01-02T00:00:00.000Z: renew it',
  ],
  [
    'what only those who are asked may show',
    { cert: tlsOf('server-only').cert, key: tlsOf('server-only').key },
    'the certificate in the cert has an extended key usage without clientAuth: nodes are asked by others, and ask each other',
  ],
  [
    'what is of no authority that is believed',
    { ca: tlsOf('stranger').ca },
    'the certificate in the cert is not signed by an authority in the ca',
  ],
  [
    'a chain that is cut off',
    { cert: node.cert + node.ca.slice(0, 200) },
    'the cert has a certificate that does not end',
  ],
  [
    'an authority that is cut off',
    { ca: node.ca + node.ca.slice(0, 200) },
    'the ca has a certificate that does not end',
  ],
  ['bytes', { cert: Buffer.from(node.cert) }, 'the cert is object: give { ca, cert, key }, texts in PEM'],
])('%s is refused in words', (_, changes, reason) => {
  expect(() => check(changes)).toThrow(reason);
});

describe('an authority that has ended', () => {
  const check =
    (tls: TlsIdentity, role: TlsRole = 'node') =>
    () =>
      checkTlsIdentity(tls, role, (part) => `the ${part}`);
  const ended = 'that expired on 2020-01-02T00:00:00.000Z: renew it';
  const byEndedCa = `the certificate in the cert is signed by one in the ca ${ended}`;

  test.each<[string, OfEndedCa[], ['outlasting' | 'below', ...OfEndedCa[]], string]>([
    ['is refused', ['ended-ca'], ['outlasting'], byEndedCa],
    ['is refused behind one in between', ['ended-ca'], ['below', 'between'], byEndedCa],
    ['is refused behind one that is believed as well', ['between', 'ended-ca'], ['below'], byEndedCa],
    [
      'is refused in between',
      ['ended-ca-anew'],
      ['below', 'ended-between'],
      `the certificate in the cert is signed by one in the cert ${ended}`,
    ],
    // OpenSSL looks at those first that it believes.
    ['is refused beside a valid one in between', ['ended-ca-anew', 'ended-between'], ['below', 'between'], byEndedCa],
  ])('%s', (_, ca, own, reason) => {
    expect(check(tlsBelow(ca, ...own))).toThrow(reason);
  });

  test.each<[string, OfEndedCa[], ['outlasting' | 'below', ...OfEndedCa[]]]>([
    ['before the valid one', ['ended-ca', 'ended-ca-anew'], ['outlasting']],
    ['behind it', ['ended-ca-anew', 'ended-ca'], ['outlasting']],
    ['in between, as the valid one', ['ended-ca-anew'], ['below', 'ended-between', 'between']],
    ['twice, as the valid ones', ['ended-ca', 'ended-ca-anew'], ['below', 'ended-between', 'between']],
    ['and one in between that is believed', ['ended-ca', 'between', 'ended-ca-anew'], ['below']],
  ])('may stand %s', (_, ca, own) => {
    expect(check(tlsBelow(ca, ...own))).not.toThrow();
  });

  test('may be all that a client has: nodes may believe more', () => {
    expect(check(tlsBelow(['ended-ca'], 'outlasting'), 'client')).not.toThrow();
  });
});

test('an authority that another has signed is of no use without that one', () => {
  const check = (tls: TlsIdentity) => () => checkTlsIdentity(tls, 'node', (part) => `the ${part}`);
  expect(check(tlsBelow(['between'], 'below'))).toThrow(
    'the certificate in the cert is signed by one in the ca that "CN=omnikv test ended-ca" has signed: add that one there',
  );
  expect(check(tlsBelow(['between', 'ended-ca-anew'], 'below'))).not.toThrow();
  // The own certificate may be among those that are believed, and is then no authority by that.
  const own = tlsBelow(['ended-ca-anew'], 'below', 'between');
  expect(check({ ...own, ca: own.ca + tlsBelow(['ended-ca-anew'], 'below').cert })).not.toThrow();
});

test('a certificate that signed itself is its own authority, though its key may not sign others', () => {
  const tls = tlsOf('self-signed');
  expect(() => checkTlsIdentity(tls, 'node', (part) => part)).not.toThrow();
});

test('a client may have a certificate of an authority that it does not believe itself, but none for servers alone', () => {
  const name = (part: string) => part;
  expect(() => checkTlsIdentity({ ...node, ca: tlsOf('stranger').ca }, 'client', name)).not.toThrow();
  expect(() => checkTlsIdentity(tlsOf('server-only'), 'client', name)).toThrow(
    'without clientAuth: it is shown by who asks',
  );
});

test('it is known whether a certificate is for a host', () => {
  expect([isForHost(node, '127.0.0.1'), isForHost(node, 'localhost')]).toEqual([true, true]);
  expect([isForHost(node, '127.0.0.2'), isForHost(tlsOf('elsewhere'), '127.0.0.1')]).toEqual([false, false]);
});

test('what is no identity at all is refused, too', () => {
  for (const one of [null, 'ca.pem', true]) {
    expect(() => checkTlsIdentity(one as never, 'node', (part) => part)).toThrow(
      `tls is ${one}: give { ca, cert, key }`,
    );
  }
});

test('files are read and checked, and named where something is wrong', () => {
  const directory = mkdtempSync(join(tmpdir(), 'kv-tls-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  expect(readTlsFiles(tlsFilesOf('node'), 'node')).toEqual(node);
  const absent = join(directory, 'absent.pem');
  expect(() => readTlsFiles({ ...tlsFilesOf('node'), cert: absent }, 'node')).toThrow(
    `${absent}, the cert of TLS, cannot be read: ENOENT`,
  );
  const empty = join(directory, 'empty.pem');
  writeFileSync(empty, '');
  expect(() => readTlsFiles({ ...tlsFilesOf('node'), key: empty }, 'node')).toThrow(`${empty} has no private key`);
});
