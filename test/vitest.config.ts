import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // Processes rather than threads: lmdb is a native addon, and one that dies takes only its own file along.
    pool: 'forks',
    maxWorkers: 2,
    // What is waited for comes at once, but on a machine that does much else: on one that is half as quick as usual, processes took 25 s of 30.
    testTimeout: 90_000,
    hookTimeout: 90_000,
    expect: { poll: { timeout: 15_000 } },
  },
});
