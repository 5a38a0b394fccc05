import { readFileSync } from 'node:fs';

/**
 * How many files and sockets this process may have open, where the system tells (Linux). Node has raised the soft limit to the hard one
 * when it started.
 */
export function openFilesMax(): number | undefined {
  let limits: string;
  try {
    limits = readFileSync('/proc/self/limits', 'latin1');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  const soft = /^Max open files +(\d+)/m.exec(limits)?.[1];
  return soft === undefined ? undefined : Number(soft);
}
