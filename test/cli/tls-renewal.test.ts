import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
import { renewTls } from '../../src/cli/tls-renewal.ts';
import type { TlsIdentity } from '../../src/tls/identity.ts';
import { tlsFilesOf, tlsOf, type Whose } from '../tls/identities.ts';

test('what is in the files is shown once it has changed and can be used', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'kv-tls-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const files = { ca: join(directory, 'ca'), cert: join(directory, 'cert'), key: join(directory, 'key') };
  const write = (part: 'ca' | 'cert' | 'key', whose: Whose) => cpSync(tlsFilesOf(whose)[part], files[part]);
  for (const part of ['ca', 'cert', 'key'] as const) write(part, 'node');
  const shown: TlsIdentity[] = [];
  const said: string[] = [];
  const log = (level: string, message: string, fields?: Readonly<Record<string, unknown>>) =>
    said.push(`${level} ${message} ${fields?.['reason'] ?? ''}`);
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  const owner = { renewTls: (tls: TlsIdentity) => shown.push(tls) };
  onTestFinished(renewTls({ files, role: 'node', shown: tlsOf('node') }, owner, log, 50));

  vi.advanceTimersByTime(500);
  expect([shown, said]).toEqual([[], []]);

  write('cert', 'renewed');
  vi.advanceTimersByTime(500);
  expect(said).toEqual([`warn TLS stays as it was ${files.key} is not the key of the certificate in ${files.cert}`]);
  write('key', 'renewed');
  vi.advanceTimersByTime(500);
  expect(shown).toEqual([tlsOf('renewed')]);
  expect(said.slice(1)).toEqual(['info new connections show the renewed certificate ']);

  // OpenSSL itself would refuse it.
  writeFileSync(files.cert, `${tlsOf('renewed').cert}${tlsOf('renewed').cert.slice(0, 200)}`);
  vi.advanceTimersByTime(500);
  expect(said.splice(2)).toEqual([expect.stringContaining('warn TLS stays as it was')]);
  write('cert', 'renewed');

  writeFileSync(files.ca, '');
  vi.advanceTimersByTime(500);
  expect(said.slice(2)).toEqual([expect.stringContaining('warn TLS stays as it was')]);
  expect(shown).toHaveLength(1);
});
