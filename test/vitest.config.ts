import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // Processes rather than threads: lmdb is a native addon, and one that dies takes only its own file along.
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 30_000,
    // What is waited for comes at once, but on a machine that does much else.
    expect: { poll: { timeout: 15_000 } },
  },
});
