import { breaches, type Measured, runScenario, type Scenario, scenarios } from './scenarios.ts';

/** Runs every scenario on each seed, prints the table, and returns what broke the requirements, a line each. */
export function runScenarios(first: number, seeds: number, print: (line: string) => void): string[] {
  print(`${seeds} seeds each; times in election timeouts, as minimum / median / maximum`);
  print(row(headings));
  print('-'.repeat(row(headings).length));
  const broken: string[] = [];
  for (const scenario of scenarios) {
    const all: Measured[] = [];
    for (let seed = first; seed < first + seeds; seed++) all.push(runScenario(scenario, seed));
    print(rowOf(scenario, all));
    for (const measured of all) {
      for (const breach of breaches(scenario, measured))
        broken.push(`${scenario.name}, seed ${measured.seed}: ${breach}`);
    }
  }
  print('');
  for (const { name, nodes, what } of scenarios) print(`${name} (${nodes} nodes): ${what}`);
  return broken;
}

/** Names of the columns, and their widths. */
const headings = ['scenario', 'down-time', 'leader changes', 'after recovery', 'after the end', 'gap after the end'];
const widths = [20, 18, 14, 14, 13, 18];

function rowOf({ name }: Scenario, all: readonly Measured[]): string {
  const times = (of: (measured: Measured) => number) => spread(all.map(of)).map((value) => value.toFixed(2));
  const counts = (of: (measured: Measured) => number) => spread(all.map(of)).map(String);
  return row([
    name,
    times(({ downtime }) => downtime).join(' / '),
    counts(({ changesBeforeRecovery }) => changesBeforeRecovery).join(' / '),
    counts(({ changesAfterRecovery }) => changesAfterRecovery).join(' / '),
    counts(({ changesAfterEnd }) => changesAfterEnd).join(' / '),
    times(({ gapAfterEnd }) => gapAfterEnd).join(' / '),
  ]);
}

const row = (cells: readonly string[]) =>
  cells
    .map((cell, at) => cell.padEnd(widths[at] ?? 0))
    .join('  ')
    .trimEnd();

/** Minimum, median and maximum. */
function spread(values: readonly number[]): number[] {
  const sorted = values.toSorted((a, b) => a - b);
  const last = sorted.length - 1;
  return [0, last >> 1, last].map((at) => sorted[at] as number);
}
