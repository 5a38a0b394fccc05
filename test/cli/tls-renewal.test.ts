import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { renewTls } from '../../src/cli/tls-renewal.ts';
import { type TlsIdentity, type TlsRole, tlsParts } from '../../src/tls/identity.ts';
import { tlsBelow, tlsFilesOf, tlsOf, type Whose } from '../tls/identities.ts';

/** Files of its own with what `whose` shows, and what becomes of them. */
function filesOf(whose: Whose) {
  const directory = mkdtempSync(join(tmpdir(), 'kv-tls-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const files = { ca: join(directory, 'ca'), cert: join(directory, 'cert'), key: join(directory, 'key') };
  const write = (part: 'ca' | 'cert' | 'key', from: Whose) => cpSync(tlsFilesOf(from)[part], files[part]);
  for (const part of tlsParts) write(part, whose);
  const said: string[] = [];
  const log = (level: string, message: string, fields?: Readonly<Record<string, unknown>>) =>
    said.push(`${level} ${message} ${fields?.['reason'] ?? ''}`);
  const shown: TlsIdentity[] = [];
  return { files, write, said, log, shown, owner: { renewTls: (tls: TlsIdentity) => shown.push(tls) } };
}

test('what is in the files is shown once it has changed and can be used', async () => {
  const { files, write, said, log, shown, owner } = filesOf('node');
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
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

describe('the end of what is shown', () => {
  const end = '2219-11-14T00:00:00.000Z';
  const hourMs = 3_600_000;
  const lookMs = 600_000;

  /** Looks each ten minutes, from so many hours before the end on. */
  function lookFrom(hoursBefore: number, role: TlsRole) {
    const all = filesOf('node');
    vi.useFakeTimers({ now: Date.parse(end) - hoursBefore * hourMs });
    onTestFinished(() => void vi.useRealTimers());
    onTestFinished(renewTls({ files: all.files, role, shown: tlsOf('node') }, all.owner, all.log, lookMs));
    return { ...all, told: () => all.said.splice(0) };
  }

  test('is told of at the start, each day, each hour of the last one, and when it has come', () => {
    const { files, told } = lookFrom(48.5, 'node');
    const loss = 'nobody can connect anew, neither clients nor other nodes';
    const soon = `warn TLS ends soon the certificate, in ${files.cert}, ends on ${end}: renew it before, or ${loss}`;
    expect(told()).toEqual([soon]);
    vi.advanceTimersByTime(23.9 * hourMs);
    expect(told()).toEqual([]);
    vi.advanceTimersByTime(0.2 * hourMs);
    expect(told()).toEqual([soon]);
    vi.advanceTimersByTime(24.3 * hourMs);
    expect(told()).toEqual(Array(24).fill(soon));
    vi.advanceTimersByTime(2 * hourMs);
    const over = `warn TLS has ended the certificate, in ${files.cert}, ended on ${end}: until it is renewed ${loss}`;
    // That the files have what has ended as well is no news.
    expect(told()).toEqual([over, over]);
  });

  test('is told of by a client at its first look', () => {
    const { files, told } = lookFrom(30, 'client');
    expect(told()).toEqual([]);
    vi.advanceTimersByTime(lookMs);
    expect(told()).toEqual([
      `warn TLS ends soon the certificate, in ${files.cert}, ends on ${end}: renew it before, or this client cannot connect anew`,
    ]);
  });

  test('is told of while what is in the files cannot be used', () => {
    const { write, told } = lookFrom(30, 'node');
    told();
    write('cert', 'elsewhere');
    vi.advanceTimersByTime(6.5 * hourMs);
    expect(told()).toEqual([
      expect.stringContaining('warn TLS stays as it was'),
      expect.stringContaining('warn TLS ends soon'),
    ]);
  });

  test('is that of the authority where that is the earlier one, until it is renewed', () => {
    const all = filesOf('node');
    vi.useFakeTimers({ now: Date.UTC(2020, 0, 1, 23) });
    onTestFinished(() => void vi.useRealTimers());
    const shown = tlsBelow(['ended-ca'], 'outlasting');
    onTestFinished(renewTls({ files: all.files, role: 'node', shown }, all.owner, all.log, lookMs));
    expect(all.said).toEqual([
      expect.stringContaining(
        `the authority of the certificate, in ${all.files.ca}, ends on 2020-01-02T00:00:00.000Z: `,
      ),
    ]);
    // The files have another, which lasts.
    vi.advanceTimersByTime(48 * hourMs);
    expect(all.said.slice(1)).toEqual(['info new connections show the renewed certificate ']);
  });
});
