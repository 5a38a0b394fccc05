import { mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, it } from 'vitest';
import { compile, makeProject } from '../project.ts';

const nodeModules = fileURLToPath(new URL('../../node_modules', import.meta.url));

let scratch: string;

beforeEach(() => {
  scratch = mkdtempSync(join(tmpdir(), 'omnikv-types-'));
});

afterEach(() => {
  rmSync(scratch, { recursive: true, force: true });
});

describe("the client's types in a user's project", () => {
  it('need nothing of its tsconfig.json, which may have all declarations checked', () => {
    const project = makeProject(scratch, {
      'package.json': '{ "type": "module" }',
      'consumer.ts': `
        import { type KvClient, KvError } from 'omnikv/client';
        import { startNode } from 'omnikv';

        export async function use(kv: KvClient): Promise<number> {
          await using other = kv;
          const { revision } = await other.put('a', 'b', { signal: AbortSignal.timeout(1000) });
          // @ts-expect-error: a value is text or bytes.
          await other.put('a', 5);
          return revision;
        }
        export const open = [startNode, KvError];
      `,
      'tsconfig.json': JSON.stringify({
        // As \`tsc --init\` has it, but for this: a program that compiles its own code only would not look at ours.
        compilerOptions: { target: 'es2023', module: 'nodenext', strict: true, noEmit: true, skipLibCheck: false },
        files: ['consumer.ts'],
      }),
    });
    symlinkSync(join(nodeModules, '@types'), join(project, 'node_modules/@types'));
    compile(project);
  });
});
