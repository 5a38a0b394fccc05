#!/usr/bin/env node
import { existsSync, readFileSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Script } from 'node:vm';
import { clientCommands } from './client-commands.js';

const root = fileURLToPath(new URL('..', import.meta.url));
const argv = process.argv.slice(2);
// Help is told by the one that has all commands.
const isOfClient = clientCommands.includes(argv[0]) && !argv.includes('--help') && !argv.includes('-h');
const bundle = fileURLToPath(new URL(`../dist/cli/${isOfClient ? 'client' : 'kv'}.cjs`, import.meta.url));
const cache = bundle.replace(/cjs$/, 'cache');

/** The least version of Node, as package.json has it. */
const leastNode = [20, 19];

const [major, minor] = process.versions.node.split('.').map(Number);
if (major < leastNode[0] || (major === leastNode[0] && minor < leastNode[1])) {
  process.stderr.write(`kv needs Node ${leastNode.join('.')} or later, and this is ${process.versions.node}\n`);
  process.exitCode = 1;
} else if (existsSync(bundle)) {
  await load(bundle, cache).main(argv, root);
} else {
  process.stderr.write('kv is not built yet: run npm run build\n');
  process.exitCode = 1;
}

/**
 * Runs the bundle as the CommonJS module that it is, with the machine code that the build made of it: that halves the time to
 * start. Where it does not fit (another version of Node) V8 refuses it and compiles anew; but of the text it looks at the length alone,
 * so that code that is older than the text is left aside. All of it is ASCII, see bin/build.mjs.
 */
function load(filename, cacheFilename) {
  const wrapped = `(function (exports, require, module, __filename, __dirname) {${readFileSync(filename, 'latin1')}\n})`;
  const script = new Script(wrapped, {
    filename,
    ...(isMadeOf(cacheFilename, filename) && { cachedData: readFileSync(cacheFilename) }),
  });
  const made = { exports: {} };
  script.runInThisContext()(made.exports, createRequire(filename), made, filename, dirname(filename));
  if (process.env.KV_BUILD_CACHE) process.on('exit', () => made.exports.saveCache(script, cacheFilename));
  return made.exports;
}

/** Files of a package all have one time. */
function isMadeOf(cacheFilename, filename) {
  return existsSync(cacheFilename) && statSync(cacheFilename).mtimeMs >= statSync(filename).mtimeMs;
}
