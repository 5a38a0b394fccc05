import { join } from 'node:path';
import { readToolOptions } from '../tool-options.mjs';
import { bundleSimulator, makeScratch } from './bundle.mjs';
import { plantedBugs } from './planted-bugs.mjs';
import { runSeeds } from './workers.mjs';

const usage = `npm run simulate:planted [-- --only NAME]    plants each bug in turn: the simulator must catch it within its budget of seeds
  --only NAME     only those with this in their names
`;
const named = (only) => plantedBugs.filter(({ name }) => only === undefined || name.includes(only));
const { only } = readToolOptions(usage, { only: { type: 'string' } }, (values) =>
  named(values.only).length === 0 ? `no planted bug has "${values.only}" in its name` : undefined,
);
const bugs = named(only);

/** The first seed of the budget that fails with the bug planted, and how. */
async function hunt(bug, bundle) {
  const failures = [];
  await runSeeds(bundle, { first: 1, end: 1 + bug.seeds, processes: 2 }, (result) => {
    if (result.failure) failures.push(result);
    return !result.failure;
  });
  return failures[0];
}

const scratch = await makeScratch();
let missed = 0;
try {
  const bundles = [];
  // All first: a bug whose text is no longer there fails the run at once.
  for (const [at, bug] of bugs.entries()) {
    const bundle = join(scratch.path, `planted-${at}.mjs`);
    await bundleSimulator(bundle, bug.edits);
    bundles.push(bundle);
  }
  for (const [at, bug] of bugs.entries()) {
    const found = await hunt(bug, bundles[at]);
    if (!found) missed++;
    const verdict = found
      ? `seed ${String(found.seed).padStart(4)}  ${found.failure.check}`
      : `NOT CAUGHT in ${bug.seeds} seeds: ${bug.rule}`;
    process.stdout.write(`${bug.name.padEnd(40)} ${verdict}\n`);
  }
  process.stdout.write(`${bugs.length - missed} of ${bugs.length} planted bugs caught\n`);
} finally {
  await scratch.remove();
}
process.exitCode = missed === 0 ? 0 : 1;
