import { type SeedResult, simulate } from './simulation.ts';

/** One process of the simulator: `run FIRST END STEP` prints a result a line as JSON, `trace SEED` prints what happens. */
export async function main([command, ...numbers]: readonly string[]): Promise<void> {
  const [first = 0, end = 0, step = 1] = numbers.map(Number);
  if (command === 'trace') {
    const result = simulate(first, (line) => process.stdout.write(`${line}\n`));
    process.stdout.write(`${JSON.stringify(result)}\n`);
    return;
  }
  for (let seed = first; seed < end; seed += step) await print(simulate(seed));
}

/** Waits until it is written: whoever reads may end this process between two results. */
function print(result: SeedResult): Promise<void> {
  return new Promise((resolve) => {
    process.stdout.write(`${JSON.stringify(result)}\n`, () => resolve());
  });
}
