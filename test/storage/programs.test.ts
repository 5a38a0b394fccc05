import { join } from 'node:path';
import type { BuildOptions, Plugin } from 'esbuild';
import { afterAll, describe, expect, it } from 'vitest';
import { BundledChild } from './bundled-child.ts';
import { Scratch } from './scratch.ts';

const scratch = new Scratch();
afterAll(() => scratch.remove());

const root = join(import.meta.dirname, '../..');
/** What is published, in place of the sources. */
const published: Plugin = {
  name: 'published',
  setup: ({ onResolve }) =>
    onResolve({ filter: /\/src\/.*\.ts$/ }, ({ path }) => ({
      path: join(root, 'dist', path.slice(path.indexOf('src/')).replace(/\.ts$/, '.js')),
    })),
};

describe('the programs that are given to a thread and a process as text', () => {
  it.each<[string, BuildOptions]>([
    ['a bundle of the sources', {}],
    ['a bundle of what is published', { plugins: [published] }],
    ['a small one of that', { plugins: [published], minify: true }],
    ['a small one that keeps the names of functions', { plugins: [published], minify: true, keepNames: true }],
    [
      'one for an older JavaScript',
      {
        plugins: [published],
        target: 'es2017',
        supported: { bigint: true, 'import-meta': true, 'top-level-await': true },
      },
    ],
  ])('run from %s', async (_, options) => {
    const child = await BundledChild.of('state-round', options);
    try {
      const round = child.start([scratch.fresh()]);
      expect(await round.ended).toEqual({ code: 0, signal: null, stderr: '' });
      expect(round.lines.map((line) => JSON.parse(line))).toEqual([{ keys: 5_001, sessions: 1, problems: [] }]);
    } finally {
      child.remove();
    }
  });
});
