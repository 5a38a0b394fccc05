// Bundles the simulator, with the real source below it, into one file that Node runs: mutated as a planted bug says, or as it is.
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const here = fileURLToPath(new URL('.', import.meta.url));
const root = fileURLToPath(new URL('../..', import.meta.url));

/** A temporary folder for bundles, and how to remove it. */
export async function makeScratch() {
  const path = await mkdtemp(join(tmpdir(), 'omnikv-simulation-'));
  return { path, remove: () => rm(path, { recursive: true, force: true }) };
}

/**
 * Writes the bundle to `outfile`. Each edit is `{file, find, replace}`, file from the root of the repository; one whose `find` is not
 * in its file exactly once throws.
 */
export async function bundleSimulator(outfile, edits = []) {
  const applied = new Set();
  await build({
    absWorkingDir: root,
    stdin: {
      contents: `import { main } from './worker.ts'; await main(process.argv.slice(2));`,
      resolveDir: here,
      loader: 'ts',
    },
    outfile,
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node20.19',
    sourcemap: 'inline',
    logLevel: 'warning',
    plugins: [{ name: 'planted', setup: (bundler) => plant(bundler, edits, applied) }],
  });
  const missed = edits.find((edit) => !applied.has(edit));
  if (missed) throw new Error(`${missed.file} is not part of the simulator: nothing was planted there`);
}

function plant(bundler, edits, applied) {
  if (edits.length === 0) return;
  bundler.onLoad({ filter: /\.ts$/ }, async ({ path }) => {
    const file = relative(root, path).split(sep).join('/');
    const ofFile = edits.filter((edit) => edit.file === file);
    if (ofFile.length === 0) return undefined;
    let contents = await readFile(path, 'utf8');
    for (const edit of ofFile) {
      const count = contents.split(edit.find).length - 1;
      if (count !== 1)
        throw new Error(`${file} has ${count} places like \`${edit.find}\`, one is due: mend the planted bug`);
      contents = contents.replace(edit.find, () => edit.replace);
      applied.add(edit);
    }
    return { contents, loader: 'ts' };
  });
}
