import { createRequire } from 'node:module';

/**
 * Where lmdb's package is, for threads and processes of their own, which load it by itself. Throws if it is not installed. A program that was
 * bundled as CommonJS has no URL of a module, but the name of its file; lmdb, which is native, is beside it.
 */
export function findLmdb(): string {
  const url = import.meta.url as string | undefined;
  return createRequire(url ?? __filename).resolve('lmdb');
}
