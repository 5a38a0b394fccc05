import { join } from 'node:path';
import { build } from 'esbuild';

/** The TypeScript program `name` of `children/` as one text, to be run by a process of its own. */
export async function programOf(name: string): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [join(import.meta.dirname, 'children', `${name}.ts`)],
    ...{ bundle: true, write: false, platform: 'node', format: 'esm', target: 'node20' },
  });
  return outputFiles[0]?.text ?? '';
}
