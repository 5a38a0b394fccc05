// Node 20 runs no TypeScript by itself: tools import a module, with all that it imports, by bundling it in memory.
import { build } from 'esbuild';

/** The exports of the module at `url`, which may import no packages. */
export async function importTypeScript(url) {
  const { outputFiles } = await build({
    entryPoints: [url.pathname],
    ...{ bundle: true, write: false, format: 'esm', platform: 'node', target: 'node20.19' },
  });
  return import(`data:text/javascript;base64,${Buffer.from(outputFiles[0].contents).toString('base64')}`);
}
