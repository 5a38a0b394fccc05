// Bundles bench/core.ts in memory and runs it: Node 20 runs no TypeScript by itself.
import { build } from 'esbuild';

const { outputFiles } = await build({
  entryPoints: [new URL('./core.ts', import.meta.url).pathname],
  bundle: true,
  write: false,
  format: 'esm',
  platform: 'node',
  target: 'node20',
});
await import(`data:text/javascript;base64,${Buffer.from(outputFiles[0].contents).toString('base64')}`);
