// Bundles the command line into dist/cli, so that `kv` starts from a few files instead of hundreds, and writes
// oclif.manifest.json, so that it does not load every command to learn their flags. `tsc` has made the library before.
import { readdir, rm, writeFile } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('..', import.meta.url));

/** Paths of all files in a folder, relative to the root, with forward slashes. */
async function filesIn(folder) {
  const entries = await readdir(join(root, folder), { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  return files.map((file) => relative(root, join(file.parentPath, file.name)).split(sep).join('/'));
}

/** One entry per command, so that a command loads only what it needs; what several of them need goes to shared chunks. */
async function bundle() {
  const commands = (await filesIn('commands')).filter((file) => file.endsWith('.ts'));
  const result = await build({
    absWorkingDir: root,
    entryPoints: [
      { in: '@oclif/core', out: 'oclif' },
      ...commands.map((file) => ({ in: file, out: file.slice(0, -'.ts'.length) })),
    ],
    outdir: 'dist/cli',
    chunkNames: 'chunks/[name]-[hash]',
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node20.19',
    // lmdb finds its native addon beside its own files; ws is small and looks for optional addons.
    // typescript: oclif asks for it only when it transpiles, which bin/kv.js turns off.
    external: ['lmdb', 'ws', 'typescript'],
    // CommonJS packages inside an ES module still call require() for Node's own modules.
    banner: {
      js: "import { createRequire as makeRequire } from 'node:module';\nconst require = makeRequire(import.meta.url);",
    },
    metafile: true,
    logLevel: 'warning',
  });
  return Object.keys(result.metafile.outputs);
}

/** Removes what an earlier build left in dist and this one did not make, so that no deleted command lives on. */
async function prune(bundled) {
  const sources = [...(await filesIn('src')), ...(await filesIn('commands'))].filter((file) => file.endsWith('.ts'));
  const emitted = sources.flatMap((file) =>
    ['.js', '.d.ts'].map((end) => `dist/${file.slice(0, -'.ts'.length)}${end}`),
  );
  const kept = new Set([...bundled, ...emitted]);
  const stale = (await filesIn('dist')).filter((file) => !kept.has(file));
  await Promise.all(stale.map((file) => rm(join(root, file), { force: true })));
}

async function writeManifest() {
  const { Plugin, settings } = (await import('../dist/cli/oclif.js')).default;
  settings.enableAutoTranspile = false;
  const plugin = new Plugin({ root, type: 'core', ignoreManifest: true, errorOnManifestCreate: true });
  await plugin.load();
  await writeFile(join(root, 'oclif.manifest.json'), `${JSON.stringify(plugin.manifest)}\n`);
}

await prune(await bundle());
await writeManifest();
