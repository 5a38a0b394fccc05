// Bundles the command line into dist/cli/kv.cjs, and the commands that only ask a cluster once more into dist/cli/client.cjs, half as
// large, with V8's machine code for each beside it, so that `kv` starts fast; and writes oclif.manifest.json, which tells of all commands and
// their flags. `tsc` has made the library before, in which texts of programs become constants here.
import { spawnSync } from 'node:child_process';
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join, relative, sep } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import { clientCommands } from './client-commands.js';

const root = fileURLToPath(new URL('..', import.meta.url));
/** Each bundle, what of it V8 is to make code of beforehand, and what it has no need of itself. */
const bundles = [
  { path: 'dist/cli/kv.cjs', ids: undefined, warmUp: ['member', 'list'], external: [] },
  // Help is of all commands, and so told by the other one.
  { path: 'dist/cli/client.cjs', ids: clientCommands, warmUp: ['get', 'key'], external: ['@oclif/core/execute'] },
];

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

/** What other modules ask for when they are loaded and few commands need. All of it is used by its properties. */
const rarelyUsed = /^(?:(?:node:)?(?:https|tls|readline)|ejs|tinyglobby|cli-spinners)$/;

/** Loads those when a property of theirs is asked for. */
const lazily = {
  name: 'lazily',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: rarelyUsed }, ({ path, resolveDir, namespace }) =>
      namespace === 'lazily' ? undefined : { path, namespace: 'lazily', pluginData: { resolveDir } },
    );
    onLoad({ filter: /./, namespace: 'lazily' }, ({ path, pluginData: { resolveDir } }) => ({
      // Whether it is an ES module is asked at once.
      contents: `module.exports = Object.create(new Proxy({}, { get: (_, name) => (name === '__esModule' ? undefined : require('${path}')[name]) }));`,
      resolveDir,
    }));
  },
};

/** So that they are the same whatever a bundler makes of the functions that they are the text of. */
async function writeProgramTexts() {
  const path = join(root, 'dist/src/storage/state/programs/texts.js');
  const texts = Object.entries(await import(pathToFileURL(path)));
  await writeFile(path, texts.map(([name, text]) => `export const ${name} = ${JSON.stringify(text)};\n`).join(''));
}

async function bundle({ path, ids, external }) {
  const all = (await filesIn('commands')).filter((file) => file.endsWith('.ts')).sort();
  const files = ids === undefined ? all : ids.map((id) => `commands/${id}.ts`);
  const { outputFiles } = await build({
    absWorkingDir: root,
    write: false,
    stdin: { contents: entry(files), resolveDir: root, sourcefile: 'commands.ts', loader: 'ts' },
    outfile: path,
    bundle: true,
    format: 'cjs',
    platform: 'node',
    target: 'node20.19',
    // lmdb finds its native addon beside its own files; ws does without its two; inquirer is large and rarely needed.
    // typescript: oclif asks for it only when it transpiles, which is turned off.
    external: ['lmdb', 'bufferutil', 'utf-8-validate', 'inquirer', 'typescript', ...external],
    // As require(): a script that V8 takes from its cache has no loader for import().
    supported: { 'dynamic-import': false },
    define: { 'import.meta.url': 'moduleUrl' },
    plugins: [lazily],
    banner: { js: "const moduleUrl = require('node:url').pathToFileURL(__filename).href;" },
    logLevel: 'warning',
  });
  // The launcher takes each byte for a character, which is faster. esbuild leaves what is in comments and regular expressions as it is.
  const escaped = (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
  const [{ text }] = outputFiles;
  await mkdir(join(root, dirname(path)), { recursive: true });
  await writeFile(join(root, path), text.replace(/[^\0-\x7f]/g, escaped));
}

/** Removes what an earlier build left in dist and this one did not make, so that no deleted module lives on. */
async function prune() {
  const sources = [...(await filesIn('src')), ...(await filesIn('commands'))].filter((file) => file.endsWith('.ts'));
  const emitted = sources.flatMap((file) =>
    ['.js', '.d.ts'].map((end) => `dist/${file.slice(0, -'.ts'.length)}${end}`),
  );
  const kept = new Set([...bundles.map(({ path }) => path), ...emitted]);
  const stale = (await filesIn('dist')).filter((file) => !kept.has(file));
  await Promise.all(stale.map((file) => rm(join(root, file), { force: true })));
}

async function writeManifest() {
  const { Plugin, settings } = createRequire(import.meta.url)(join(root, bundles[0].path));
  settings.enableAutoTranspile = false;
  const plugin = new Plugin({ root, type: 'core', ignoreManifest: true, errorOnManifestCreate: true });
  await plugin.load();
  await writeFile(join(root, 'oclif.manifest.json'), `${JSON.stringify(plugin.manifest)}\n`);
}

/** Lets V8 see what a command needs, up to the network: nobody listens at the endpoint. */
function writeCache({ warmUp }) {
  const args = [...warmUp, '--endpoints', '127.0.0.1:1', '--timeout', '100ms'];
  const env = { ...process.env, KV_BUILD_CACHE: '1', NODE_OPTIONS: '' };
  const { error } = spawnSync(process.execPath, [join(root, 'bin/kv.js'), ...args], { env, stdio: 'ignore' });
  if (error) throw error;
}

await Promise.all(bundles.map(bundle));
await writeProgramTexts();
await prune();
await writeManifest();
bundles.forEach(writeCache);
