#!/usr/bin/env node
import { existsSync } from 'node:fs';

const bundle = new URL('../dist/cli/oclif.js', import.meta.url);

if (existsSync(bundle)) {
  const { execute, settings } = (await import(bundle.href)).default;
  // Commands come from the bundle, also where NODE_ENV or a tsconfig.json makes oclif look for sources.
  settings.enableAutoTranspile = false;
  await execute({ dir: import.meta.url });
} else {
  process.stderr.write('kv is not built yet: run npm run build\n');
  process.exitCode = 1;
}
