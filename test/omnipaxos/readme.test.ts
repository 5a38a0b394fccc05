import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildSync } from 'esbuild';
import { describe, expect, it } from 'vitest';

const folder = new URL('../../src/omnipaxos/', import.meta.url);

describe('src/omnipaxos/README.md', () => {
  const readme = readFileSync(new URL('README.md', folder), 'utf8');

  /** Its pieces, which are one program. */
  const program = [...readme.matchAll(/```ts\n([\s\S]*?)```/g)].map(([, piece]) => piece).join('\n');

  it('its program runs as it stands, and prints what it says', () => {
    expect(program).toContain("from 'omnikv/omnipaxos'");
    const { outputFiles } = buildSync({
      stdin: { contents: program, loader: 'ts', resolveDir: folder.pathname },
      alias: {
        'omnikv/omnipaxos': new URL('index.ts', folder).pathname,
        'omnikv/contracts': new URL('../contracts/store-contract.ts', folder).pathname,
      },
      bundle: true,
      write: false,
      format: 'esm',
      platform: 'node',
    });
    const code = outputFiles[0]?.text as string;
    const output = execFileSync(process.execPath, ['--input-type=module'], { input: code, encoding: 'utf8' });
    const promised = [...program.matchAll(/^\/\/ prints (.*)$/gm)].map(([, line]) => line);
    expect(promised.length).toBeGreaterThan(10);
    expect(output.trim().split('\n')).toEqual(promised);
  });

  it('the types of its program hold', () => {
    const scratch = mkdtempSync(join(tmpdir(), 'omnikv-readme-'));
    try {
      writeFileSync(join(scratch, 'program.mts'), program);
      const root = new URL('../../', folder).pathname;
      const paths = {
        'omnikv/omnipaxos': [`${root}src/omnipaxos/index.ts`],
        'omnikv/contracts': [`${root}src/contracts/store-contract.ts`],
      };
      const compilerOptions = {
        noEmit: true,
        rootDir: '/',
        types: ['node'],
        typeRoots: [`${root}node_modules/@types`],
        paths,
      };
      writeFileSync(
        join(scratch, 'tsconfig.json'),
        JSON.stringify({ extends: `${root}tsconfig.json`, compilerOptions, include: ['program.mts'] }),
      );
      execFileSync(process.execPath, [`${root}node_modules/typescript/bin/tsc`, '-p', scratch], { stdio: 'inherit' });
    } finally {
      rmSync(scratch, { recursive: true, force: true });
    }
  });

  it('its table names every message', () => {
    const source = readFileSync(new URL('messages.ts', folder), 'utf8');
    const types = [...source.matchAll(/readonly type: '(\w+)'/g)].map(([, type]) => type as string);
    const named = [...readme.matchAll(/^\| `(\w+)` \| \w+ → /gm)].map(([, type]) => type as string);
    expect(types.length).toBeGreaterThan(0);
    expect(named.sort()).toEqual(types.sort());
  });
});
