import { execFile } from 'node:child_process';
import { createRequire } from 'node:module';

/** How long a probe may take, milliseconds. Reading ends well before; this is for a disk that hangs. */
const probeTimeoutMs = 60_000;

/** How long a probe reads, milliseconds: all there is unless that is large. */
const probeReadMs = 3_000;

/*
 * Opens an environment as a reader and reads every table in it. A data file that was cut or overwritten ends the process
 * that does this by a signal: hence one of its own. Its program is a text, so that it runs the same from source, from the
 * compiled files and from a bundle.
 */
const program = `
const [lmdbPath, readMs, path] = process.argv.slice(1);
const { open } = require(lmdbPath);
const root = open({ path, readOnly: true, keyEncoding: 'binary', encoding: 'binary' });
const until = Date.now() + Number(readMs);
for (const name of [...root.getKeys()]) {
  const table = root.openDB(String(name), { keyEncoding: 'binary', encoding: 'binary' });
  let count = 0;
  for (const _ of table.getRange({ start: Buffer.from([0]) })) {
    if (++count % 1024 === 0 && Date.now() > until) break;
  }
}
process.exit(0);
`;

/**
 * Reads the LMDB environment in directory `path` in a child process: about 0.15 s, and up to some seconds if it is large.
 * Resolves with what went wrong, or `undefined` if it can be read.
 */
export function probeEnvironment(path: string): Promise<string | undefined> {
  const lmdbPath = createRequire(import.meta.url).resolve('lmdb');
  const args = ['-e', program, lmdbPath, String(probeReadMs), path];
  return new Promise((resolve) => {
    execFile(process.execPath, args, { timeout: probeTimeoutMs, env: {} }, (error, _stdout, stderr) => {
      if (error === null) resolve(undefined);
      else if (error.killed === true) resolve(`it could not be read in ${probeTimeoutMs / 1000} s`);
      else if (error.signal) resolve(`reading it ends the process with ${error.signal}`);
      else resolve(lastLine(stderr) ?? error.message);
    });
  });
}

/** The line of a stack trace that names the error. */
function lastLine(stderr: string): string | undefined {
  return stderr.split('\n').find((line) => /^\w*Error/.test(line));
}
