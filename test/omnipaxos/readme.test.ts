import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { buildSync } from 'esbuild';
import { describe, expect, it } from 'vitest';

const folder = new URL('../../src/omnipaxos/', import.meta.url);

describe('src/omnipaxos/README.md', () => {
  const readme = readFileSync(new URL('README.md', folder), 'utf8');

  it('its example runs as it stands', () => {
    const [, example] = /```ts\n([\s\S]*?)```/.exec(readme) ?? [];
    expect(example).toContain("from 'omnikv/omnipaxos'");
    const { outputFiles } = buildSync({
      stdin: { contents: example as string, loader: 'ts', resolveDir: folder.pathname },
      alias: { 'omnikv/omnipaxos': new URL('index.ts', folder).pathname },
      bundle: true,
      write: false,
      format: 'esm',
      platform: 'neutral',
    });
    const code = outputFiles[0]?.text as string;
    const output = execFileSync(process.execPath, ['--input-type=module'], { input: code, encoding: 'utf8' });
    const lines = output.trim().split('\n').sort();
    expect(lines).toEqual(['1 hello', '1 world', '2 hello', '2 world', '3 hello', '3 world']);
  });

  it('its table names every message', () => {
    const source = readFileSync(new URL('messages.ts', folder), 'utf8');
    const types = [...source.matchAll(/readonly type: '(\w+)'/g)].map(([, type]) => type as string);
    const named = [...readme.matchAll(/^\| `(\w+)` \| \w+ → /gm)].map(([, type]) => type as string);
    expect(types.length).toBeGreaterThan(0);
    expect(named.sort()).toEqual(types.sort());
  });
});
