import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { describe, expect, it } from 'vitest';
import { BackgroundPriority } from '../../src/host/background-priority.ts';
import { programOf } from './program.ts';

/** A machine on which the process waits for a processor as long as the test says. */
function host() {
  const set: number[] = [];
  const machine = { waitedMs: 0, canTell: true, isRefused: false, set };
  const priority = new BackgroundPriority({
    waitedNs: () => (machine.canTell ? machine.waitedMs * 1e6 : undefined),
    setNiceness: (niceness) => {
      if (!machine.isRefused) set.push(niceness);
      return !machine.isRefused;
    },
  });
  return { machine, priority };
}

describe('work in the background', () => {
  it('lets others go first, and ends that with the work', () => {
    const { machine, priority } = host();
    priority.tick(false, 0);
    expect(machine.set).toEqual([]);
    for (const now of [10, 20, 30]) priority.tick(true, now);
    expect(machine.set).toEqual([14]);
    for (const now of [40, 50]) priority.tick(false, now);
    expect(machine.set).toEqual([14, 0]);
  });

  it('becomes more urgent by a step a second while it waits for a processor most of its time, and stays so', () => {
    const { machine, priority } = host();
    priority.tick(true, 0);
    for (let now = 1_000; now <= 2_000; now += 1_000) {
      machine.waitedMs += 600;
      priority.tick(true, now);
      priority.tick(true, now + 500);
    }
    expect(machine.set).toEqual([14, 10, 6]);
    for (let now = 3_000; now <= 5_000; now += 1_000) {
      machine.waitedMs += 400;
      priority.tick(true, now);
    }
    expect(machine.set).toEqual([14, 10, 6]);
    for (let now = 6_000; now <= 12_000; now += 1_000) {
      machine.waitedMs += 1_000;
      priority.tick(true, now);
    }
    expect(machine.set).toEqual([14, 10, 6, 3, 0]);
  });

  it('is as urgent as any other where it could not be told that it gets too little', () => {
    const { machine, priority } = host();
    machine.canTell = false;
    for (const now of [0, 1_000, 2_000]) priority.tick(true, now);
    expect(machine.set).toEqual([]);
  });

  it('tries again what the system refuses for a moment, above all the end', () => {
    const { machine, priority } = host();
    machine.isRefused = true;
    priority.tick(true, 0);
    machine.isRefused = false;
    priority.tick(true, 20);
    machine.isRefused = true;
    priority.tick(false, 40);
    machine.isRefused = false;
    priority.tick(false, 60);
    priority.tick(false, 80);
    expect(machine.set).toEqual([14, 0]);
  });

  it('takes back what was set in part, also if it never came to work in the background', () => {
    const { machine, priority } = host();
    machine.isRefused = true;
    priority.tick(true, 0);
    machine.isRefused = false;
    priority.tick(false, 20);
    expect(machine.set).toEqual([0]);
  });

  it('becomes more urgent where it can no longer be told whether it gets enough', () => {
    const { machine, priority } = host();
    priority.tick(true, 0);
    machine.canTell = false;
    priority.tick(true, 1_000);
    expect(machine.set).toEqual([14, 10]);
  });
});

/** Where sessions have a niceness and the scheduler tells how long a thread waited. */
const hasGroups = existsSync('/proc/self/autogroup') && existsSync('/proc/self/schedstat');

describe('a process of its own session', () => {
  it.skipIf(!hasGroups)(
    'is nicer while it works in the background, and as before afterwards (needs autogroup)',
    async () => {
      const program = await programOf('background');
      const child = spawn(process.execPath, ['--input-type=module', '-e', program], { detached: true });
      const [before, during, after] = JSON.parse(await text(child.stdout)) as {
        group: number;
        thread: number;
        worker: number;
      }[];
      const [, capabilities = '0'] = /^CapEff:\s*(\S+)$/m.exec(readFileSync('/proc/self/status', 'utf8')) ?? [];
      const isFirst = readFileSync('/proc/self/uid_map', 'utf8').includes('4294967295');
      const mayTakeBack = isFirst && ((BigInt(`0x${capabilities}`) >> 23n) & 1n) === 1n;
      expect(before).toMatchObject({ group: 0 });
      const more = mayTakeBack ? 14 : 0;
      expect(during).toEqual({ group: 14, thread: (before?.thread ?? 0) + more, worker: (before?.worker ?? 0) + more });
      expect(after).toEqual(before);
    },
  );
});
