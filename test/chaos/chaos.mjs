// npm run chaos    real nodes on hosts of their own, partitioned, killed, paused and replaced by one another under load
import { appendFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { runToEnd } from '../../bench/processes.mjs';
import { importTypeScript } from '../import-typescript.mjs';
import { readToolOptions } from '../tool-options.mjs';
import { Bulk } from './bulk.mjs';
import { Clients } from './clients.mjs';
import { Nemesis } from './nemesis.mjs';
import { Nodes } from './nodes.mjs';

const usage = `npm run chaos -- [--rounds N] [--seconds N]    seven nodes, each in a network namespace, three of them members at first: links cut
in one way or both, nodes killed and paused, members changed again and again, under load. After each round all is healed: every client
must be served again, histories must be linearizable, counters and watchers right, all members hold the same
  --rounds N    how often (10)
  --seconds N   of faults in each (40)
Needs root and "ip netns" (Debian: iproute2).
`;
const isWhole = (value) => /^[1-9][0-9]{0,8}$/.test(value);
const values = readToolOptions(
  usage,
  { rounds: { type: 'string', default: '10' }, seconds: { type: 'string', default: '40' } },
  (given) => {
    const wrong = ['rounds', 'seconds'].find((name) => !isWhole(given[name]));
    return wrong === undefined ? undefined : `--${wrong} is ${given[wrong]}: give a whole number from 1 on`;
  },
);
const hostCount = 7;
/** All must be served again, and members be complete, within this time. */
const healingMsMax = 30_000;

/** Polls until all members are there, complete and under a leader; gives the status. */
async function whole(nodes) {
  const deadlineMs = performance.now() + healingMsMax;
  let last;
  while (performance.now() < deadlineMs) {
    await nodes.check();
    try {
      const view = await nodes.status();
      const members = view.members.filter(({ member }) => member);
      if (typeof view.leader === 'number' && members.every(({ state }) => state === 'member')) return view;
      last = JSON.stringify(view);
    } catch (error) {
      last = error.message;
    }
    await delay(200);
  }
  throw new Error(`not whole ${healingMsMax / 1000} s after all was healed: ${last}`);
}

/** Polls until every client was served behind `sinceMs`. */
async function served(clients, sinceMs) {
  while (clients.longestWaitMs > performance.now() - sinceMs) {
    clients.throwFailure();
    if (performance.now() - sinceMs > healingMsMax) {
      throw new Error(`a client was not served for ${Math.round(clients.longestWaitMs / 1000)} s`);
    }
    await delay(20);
  }
}

/** A member loses its disk, and gets its vote back on an empty one. */
async function rebuild(nodes, view, note) {
  const { id } = view.members.filter(({ member }) => member)[0];
  await nodes.kill(id);
  nodes.wipe(id);
  nodes.start(id);
  for (let tries = 0; ; tries++) {
    const { code, stderr } = await nodes.kv('member', 'rebuild', String(id), '--yes');
    note(`rebuild ${id}: exit ${code} ${stderr.trim().slice(0, 300)}`);
    if (code === 0) return;
    if (tries === 5) throw new Error(`node ${id} is not rebuilt: ${stderr}`);
    await delay(1000);
  }
}

async function runRound(round, { nodes, bulk, nemesis, note, checkHistory }) {
  const all = nodes.endpoints;
  // Some know one node alone, which may be cut off, or no member.
  const clients = new Clients(`round-${round}/`, all, [all, all, all, ...all.map((endpoint) => [endpoint])]);
  await nemesis.run(performance.now() + Number(values.seconds) * 1000);
  nemesis.heal();
  const healedMs = performance.now();
  await whole(nodes);
  const wholeMs = performance.now() - healedMs;
  await served(clients, healedMs);
  await nemesis.settled();
  const view = await whole(nodes);
  const members = view.members.filter(({ member }) => member);
  if (members.length >= 3) await rebuild(nodes, view, note);
  await whole(nodes);
  await clients.stop();
  await whole(nodes);
  await delay(1000);
  const problems = await clients.problems(
    checkHistory,
    members.map(({ id }) => nodes.address(id)),
  );
  problems.push(...(await bulk.problems()));
  const { operations, unknown } = clients.counts;
  process.stdout.write(
    `round ${round}  configuration ${view.configurationId}, members ${members.map(({ id }) => id)}; ${clients.done} operations done, ` +
      `${operations} in the history, ${unknown} of unknown outcome; whole after ${(wholeMs / 1000).toFixed(1)} s\n`,
  );
  return problems;
}

/** All rounds, until one shows a problem; gives those. */
async function runRounds(nodes, nemesis, note, signal) {
  const { checkHistory } = await importTypeScript(new URL('../linearizability/checker.ts', import.meta.url));
  const problems = [];
  try {
    for (const id of nodes.ids) nodes.start(id);
    await whole(nodes);
    const bulk = await Bulk.start(nodes.endpoints);
    for (let round = 1; round <= Number(values.rounds) && problems.length === 0 && !signal.aborted; round++) {
      note(`round ${round}`);
      problems.push(...(await runRound(round, { nodes, bulk, nemesis, note, checkHistory })));
    }
    await bulk.stop();
  } catch (error) {
    problems.push(error.message);
  }
  return problems;
}

async function main(signal) {
  const { Hosts, namespacesProblem } = await importTypeScript(new URL('../process/namespaces.ts', import.meta.url));
  const problem = namespacesProblem();
  if (problem !== undefined) throw new Error(problem);
  const folder = mkdtempSync(join(tmpdir(), 'kv-chaos-'));
  const note = (line) => appendFileSync(join(folder, 'journal.log'), `${new Date().toISOString()} ${line}\n`);
  const hosts = new Hosts(hostCount);
  const nodes = new Nodes(folder, hosts);
  const nemesis = new Nemesis(nodes, hosts, note);
  const problems = await runRounds(nodes, nemesis, note, signal);
  for (const id of nodes.ids) await nodes.kill(id);
  hosts.destroy();
  process.stdout.write(`${JSON.stringify(nemesis.counts)}\n`);
  if (problems.length > 0) throw new Error(`${problems.join('\n')}\nthe journal, logs and data are kept in ${folder}`);
  rmSync(folder, { recursive: true });
}

await runToEnd('chaos', main);
