import { expect, test } from 'vitest';
import { resolveTlsFiles } from '../../src/cli/arguments/tls-flags.ts';
import { resolveConnection } from '../../src/cli/connection.ts';
import { defaultCluster } from '../../src/cluster/cluster-file.ts';
import { tlsFilesOf, tlsOf } from '../tls/identities.ts';

const inFile = { ca: '/f/ca', cert: '/f/cert', key: '/f/key' };
const variables = { KV_TLS_CA: 'v-ca', KV_TLS_CERT: 'v-cert', KV_TLS_KEY: 'v-key' };

test('each file is that of the flag, else of the environment, else of the cluster file', () => {
  const files = (flags: object, environment: object, tls: typeof inFile | undefined = inFile) =>
    resolveTlsFiles({ flags, environment, cluster: { tls } });
  expect(files({}, {})).toEqual(inFile);
  expect(files({}, variables)).toEqual({ ca: 'v-ca', cert: 'v-cert', key: 'v-key' });
  expect(files({}, { KV_TLS_CA: '', KV_TLS_CERT: 'v-cert' })).toEqual({ ...inFile, cert: 'v-cert' });
  expect(files({ 'tls-ca': 'a', 'tls-cert': 'b' }, variables)).toEqual({ ca: 'a', cert: 'b', key: 'v-key' });
  expect(resolveTlsFiles({ flags: {}, environment: {}, cluster: {} })).toBeUndefined();
});

test('half of them will not do: nothing would be encrypted, or nobody believed', () => {
  const files = (flags: object) => () => resolveTlsFiles({ flags, environment: {}, cluster: {} });
  expect(files({ 'tls-ca': 'a' })).toThrow('give --tls-cert and --tls-key, too');
  expect(files({ 'tls-cert': 'b', 'tls-key': 'c' })).toThrow(
    'TLS needs all of --tls-ca, --tls-cert and --tls-key: give --tls-ca, too',
  );
});

test('an empty flag is a mistake, and not no TLS', () => {
  const flags = { 'tls-ca': '', 'tls-cert': 'b', 'tls-key': 'c' };
  expect(() => resolveTlsFiles({ flags, environment: {}, cluster: {} })).toThrow('--tls-ca is empty: give a file');
});

test('a command reads them', () => {
  const tls = tlsFilesOf('node');
  const connection = resolveConnection({ flags: {}, environment: {}, cluster: { ...defaultCluster, tls } });
  expect(connection.tls).toEqual({ files: tls, role: 'client', shown: tlsOf('node') });
  expect(resolveConnection({ flags: {}, environment: {}, cluster: defaultCluster }).tls).toBeUndefined();
});
