// Says, before, while and after it works in the background: the niceness of its session, of its main thread, and of another thread.
import { readdirSync, readFileSync } from 'node:fs';
import { getPriority } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { BackgroundPriority } from '../../../src/host/background-priority.ts';

function look() {
  const threads = readdirSync('/proc/self/task').map(Number);
  const other = threads.find((thread) => thread !== process.pid) ?? process.pid;
  const group = Number(readFileSync('/proc/self/autogroup', 'utf8').split(' ')[2]);
  return { group, thread: getPriority(process.pid), worker: getPriority(other) };
}

const priority = new BackgroundPriority();
const seen = [look()];
priority.tick(true, 0);
seen.push(look());
// The system lets only root change it twice within a tenth of a second.
for (let now = 20; seen.length < 3; now += 20) {
  priority.tick(false, now);
  if (look().group === 0 || now > 2_000) seen.push(look());
  else await delay(20);
}
process.stdout.write(JSON.stringify(seen));
