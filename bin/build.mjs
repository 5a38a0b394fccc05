// Bundles the command line into one file, dist/cli/kv.cjs, with V8's machine code for it beside it, so that `kv` starts fast;
// and writes oclif.manifest.json, which tells of all commands and their flags. `tsc` has made the library before.
import { spawnSync } from 'node:child_process';
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('..', import.meta.url));
const bundlePath = 'dist/cli/kv.cjs';

/** Paths of all files in a folder, relative to the root, with forward slashes. */
async function filesIn(folder) {
  const entries = await readdir(join(root, folder), { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  return files.map((file) => relative(root, join(file.parentPath, file.name)).split(sep).join('/'));
}

/** The module that the bundle is made from: every file in commands/ is a command, `commands/a/b.ts` is `kv a b`. */
function entry(files) {
  const imports = files.map((file, at) => `import command${at} from './${file}';`);
  const ids = files.map((file) => file.slice('commands/'.length, -'.ts'.length).replaceAll('/', ':'));
  return [
    ...imports,
    "import { writeFileSync } from 'node:fs';",
    "import { Plugin } from '@oclif/core/config';",
    "import { settings } from '@oclif/core/settings';",
    "import { dispatch } from './src/cli/dispatch.ts';",
    `export const commands = { ${ids.map((id, at) => `${JSON.stringify(id)}: command${at}`).join(', ')} };`,
    'export const main = (argv, root) => dispatch(commands, argv, root);',
    'export const saveCache = (script, path) => writeFileSync(path, script.createCachedData());',
    'export { Plugin, settings };',
  ].join('\n');
}

/**
 * Modules of Node that ws asks for when it is loaded and needs for wss alone, which no node speaks: they, and all that they load, are a
 * twentieth of the time of a command.
 */
const onlyForWss = {
  name: 'only for wss',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^(https|tls)$/ }, ({ path }) => ({ path, namespace: 'only-for-wss' }));
    onLoad({ filter: /./, namespace: 'only-for-wss' }, ({ path }) => ({
      contents: `module.exports = new Proxy({}, { get: (_, name) => require('node:${path}')[name] });`,
    }));
  },
};

async function bundle() {
  const files = (await filesIn('commands')).filter((file) => file.endsWith('.ts')).sort();
  const { outputFiles } = await build({
    absWorkingDir: root,
    write: false,
    stdin: { contents: entry(files), resolveDir: root, sourcefile: 'commands.ts', loader: 'ts' },
    outfile: bundlePath,
    bundle: true,
    format: 'cjs',
    platform: 'node',
    target: 'node20.19',
    // lmdb finds its native addon beside its own files; ws does without its two; inquirer is large and rarely needed.
    // typescript: oclif asks for it only when it transpiles, which is turned off.
    external: ['lmdb', 'bufferutil', 'utf-8-validate', 'inquirer', 'typescript'],
    // As require(): a script that V8 takes from its cache has no loader for import().
    supported: { 'dynamic-import': false },
    define: { 'import.meta.url': 'moduleUrl' },
    plugins: [onlyForWss],
    banner: { js: "const moduleUrl = require('node:url').pathToFileURL(__filename).href;" },
    logLevel: 'warning',
  });
  // The launcher takes each byte for a character, which is faster. esbuild leaves what is in comments and regular expressions as it is.
  const escaped = (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
  const [{ text }] = outputFiles;
  await mkdir(join(root, dirname(bundlePath)), { recursive: true });
  await writeFile(join(root, bundlePath), text.replace(/[^\0-\x7f]/g, escaped));
}

/** Removes what an earlier build left in dist and this one did not make, so that no deleted module lives on. */
async function prune() {
  const sources = [...(await filesIn('src')), ...(await filesIn('commands'))].filter((file) => file.endsWith('.ts'));
  const emitted = sources.flatMap((file) =>
    ['.js', '.d.ts'].map((end) => `dist/${file.slice(0, -'.ts'.length)}${end}`),
  );
  const kept = new Set([bundlePath, ...emitted]);
  const stale = (await filesIn('dist')).filter((file) => !kept.has(file));
  await Promise.all(stale.map((file) => rm(join(root, file), { force: true })));
}

async function writeManifest() {
  const { Plugin, settings } = createRequire(import.meta.url)(join(root, bundlePath));
  settings.enableAutoTranspile = false;
  const plugin = new Plugin({ root, type: 'core', ignoreManifest: true, errorOnManifestCreate: true });
  await plugin.load();
  await writeFile(join(root, 'oclif.manifest.json'), `${JSON.stringify(plugin.manifest)}\n`);
}

/** Lets V8 see what a command needs, up to the network: nobody listens at the endpoint. */
function writeCache() {
  const args = ['get', 'key', '--endpoints', '127.0.0.1:1', '--timeout', '100ms'];
  const env = { ...process.env, KV_BUILD_CACHE: '1', NODE_OPTIONS: '' };
  const { error } = spawnSync(process.execPath, [join(root, 'bin/kv.js'), ...args], { env, stdio: 'ignore' });
  if (error) throw error;
}

await bundle();
await prune();
await writeManifest();
writeCache();
