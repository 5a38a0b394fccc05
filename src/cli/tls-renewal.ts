import { statSync } from 'node:fs';
import type { TlsFiles } from '../cluster/cluster-file.ts';
import { type Ending, endingOf, newsOf, type ToldEnding } from '../tls/ending.ts';
import { checkTlsTexts, readTlsTexts } from '../tls/files.ts';
import { type TlsIdentity, type TlsRole, tlsParts } from '../tls/identity.ts';

/** How often the files are looked at, milliseconds. */
const lookMs = 60_000;

/** What is shown, and where it was read. */
export interface ShownTls {
  readonly files: TlsFiles;
  readonly role: TlsRole;
  readonly shown: TlsIdentity;
}

type Say = (level: 'info' | 'warn', message: string, fields?: Readonly<Record<string, unknown>>) => void;

/**
 * Has a node or a client show what is in the files once it has changed, so that certificates are renewed without a restart. What cannot be used,
 * such as a key whose certificate is yet to be written, is told of once and looked at again. That what is shown ends soon is told of again and
 * again: by a node at once, by a client from the first look on, since most are gone by then. Gives what ends all that; it does not keep the process.
 */
export function renewTls(
  { files, role, shown: first }: ShownTls,
  owner: { renewTls(tls: TlsIdentity): void },
  say: Say,
  everyMs = lookMs,
): () => void {
  let shown = first;
  let told: string | undefined;
  const tellOfEnding = endingTeller(files, role, say);
  const renew = () => {
    try {
      // To read a pipe would keep the process waiting.
      if (!tlsParts.every((part) => isFile(files[part]))) return;
      const tls = readTlsTexts(files);
      const isShown = tlsParts.every((part) => tls[part] === shown[part]);
      // What is shown may have ended meanwhile: that is told of below.
      if (!isShown) checkTlsTexts(tls, files, role);
      told = undefined;
      if (isShown) return;
      owner.renewTls(tls);
      shown = tls;
      say('info', 'new connections show the renewed certificate', { cert: files.cert });
    } catch (error) {
      // Whatever it is, it must not end who asked for no more than a look.
      const reason = error instanceof Error ? error.message : String(error);
      if (reason !== told) say('warn', 'TLS stays as it was', { reason });
      told = reason;
    }
  };
  const look = () => {
    renew();
    tellOfEnding(shown);
  };
  if (role === 'node') tellOfEnding(shown);
  const timer = setInterval(look, everyMs).unref();
  return () => clearInterval(timer);
}

/** Tells of the end of what is shown, if that is near, as often as is due. */
function endingTeller(files: TlsFiles, role: TlsRole, say: Say): (shown: TlsIdentity) => void {
  let told: ToldEnding | undefined;
  return (shown) => {
    const ending = endingOf(shown);
    const news = newsOf(ending, told, Date.now());
    if (news === undefined) return;
    told = news;
    const isOver = news.nearness === 'over';
    say('warn', isOver ? 'TLS has ended' : 'TLS ends soon', { reason: endingWords(ending, isOver, files, role) });
  };
}

/** What becomes of whom when it is over. */
const losses: Readonly<Record<TlsRole, string>> = {
  node: 'nobody can connect anew, neither clients nor other nodes',
  client: 'this client cannot connect anew',
};

function endingWords({ part, toMs }: Ending, isOver: boolean, files: TlsFiles, role: TlsRole): string {
  const what = part === 'cert' ? 'the certificate' : 'the authority of the certificate';
  const which = `${what}, in ${files[part]},`;
  const on = new Date(toMs).toISOString();
  if (isOver) return `${which} ended on ${on}: until it is renewed ${losses[role]}`;
  return `${which} ends on ${on}: renew it before, or ${losses[role]}`;
}

/** One that is not there is for the reader to tell of. */
function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() ?? true;
}
