import { describe, expect, it } from 'vitest';
import { breaches, runScenario, scenarios } from './scenarios.ts';
import { runScenarios } from './table.ts';

describe('scenarios', () => {
  it.each(scenarios.map((scenario) => [scenario.name, scenario] as const))(
    '%s: PROTOCOL holds on 8 seeds',
    (_, one) => {
      for (let seed = 1; seed <= 8; seed++) expect(breaches(one, runScenario(one, seed)), `seed ${seed}`).toEqual([]);
    },
  );

  it('the same seed gives the same numbers', () => {
    for (const scenario of scenarios.slice(0, 2)) expect(runScenario(scenario, 5)).toEqual(runScenario(scenario, 5));
  });

  it('a breach is said', () => {
    const [first] = scenarios;
    const healthy = { seed: 1, downtime: 1, changesBeforeRecovery: 1, changesAfterRecovery: 0, changesAfterEnd: 0 };
    const measured = { ...healthy, gapAfterEnd: 0.1, isConverged: true };
    if (!first) throw new Error('there are scenarios');
    expect(breaches(first, measured)).toEqual([]);
    expect(breaches({ ...first, keepsLeader: true }, measured)).toHaveLength(1);
    const broken = { downtime: 4.1, changesAfterRecovery: 1, changesAfterEnd: 2, gapAfterEnd: 1, isConverged: false };
    expect(breaches(first, { ...measured, ...broken })).toHaveLength(5);
  });

  it('the table has a row for each', () => {
    const lines: string[] = [];
    expect(runScenarios(1, 1, (line) => lines.push(line))).toEqual([]);
    for (const { name } of scenarios) expect(lines.filter((line) => line.startsWith(`${name} `))).toHaveLength(2);
  });
});
