import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

/**
 * Runs seeds `first`, `first` + 1, … below `end` in `processes` processes of the bundle; `onResult` gets each seed's result, in no
 * particular order, and returns false to stop all. Rejects if a process breaks.
 */
export async function runSeeds(bundle, { first, end, processes }, onResult) {
  const count = Math.min(processes, end - first);
  const children = [];
  let isStopped = false;
  const runs = Array.from({ length: count }, (_, at) => {
    const child = spawn(process.execPath, ['--enable-source-maps', bundle, 'run', first + at, end, count].map(String), {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    children.push(child);
    createInterface({ input: child.stdout }).on('line', (line) => {
      if (isStopped || onResult(JSON.parse(line))) return;
      isStopped = true;
      for (const one of children) one.kill();
    });
    return new Promise((resolve, reject) => {
      child.on('error', reject);
      child.on('close', (code) => {
        if (isStopped || code === 0) resolve();
        else reject(new Error(`a process of the simulator ended with code ${code}`));
      });
    });
  });
  await Promise.all(runs);
}
