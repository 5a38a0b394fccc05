// One measurement: members of a loaded cluster are replaced by newcomers that have nothing yet.
import { setTimeout as delay } from 'node:timers/promises';
import { cpuSecondsOf, stopServers, throwIfEnded } from './processes.mjs';
import { clockMs, fillWith, startSteadyLoad } from './steady-load.mjs';

const windowMs = 500;
const pollMs = 50;
/** How long newcomers may take. */
const timeoutMs = 300_000;

/**
 * `start` starts the cluster of a system on `hosts`. `load`: `{keys, keyBytes, valueBytes, clients, outstanding}`. `isDead`: those
 * who are replaced are stopped before anything is measured. `isLeaderReplaced`: the leader is one of them. The clock begins where the operator does, with the first step.
 */
export async function measureReplacement(plan, signal) {
  const { start, hosts, members, newcomers, load, say } = plan;
  const cluster = await start(plan);
  let steady;
  try {
    const first = await cluster.findLeader();
    const filledMs = await timeOf(() => {
      return fillWith(cluster.generator, endpointsOf(cluster, first, members), load, signal);
    });
    say(`${load.keys.toLocaleString('en-US')} keys written in ${(filledMs / 1000).toFixed(1)} s`);
    const leader = await cluster.findLeader();
    const followers = members.filter((id) => id !== leader);
    const removed = (plan.isLeaderReplaced ? [...followers, leader] : followers).slice(-newcomers.length);
    const kept = members.filter((id) => !removed.includes(id));
    if (plan.isDead) await stopServers(removed.map((id) => cluster.servers.get(id)));
    const asked = plan.isLeaderReplaced ? kept[0] : leader;
    steady = startSteadyLoad(cluster.generator, endpointsOf(cluster, asked, kept), load);
    await delay(plan.secondsBefore * 1000, undefined, { signal });
    const figures = await replaceUnderLoad({ ...plan, cluster, leader, removed, steady });
    await delay(plan.secondsAfter * 1000, undefined, { signal });
    await throwIfEnded([...kept, ...newcomers].map((id) => cluster.servers.get(id)));
    const endMs = clockMs();
    const series = await steady.stop();
    const isSameLeader = removed.includes(leader) ? undefined : await cluster.isLeader(leader);
    return {
      ...{ leader, isSameLeader, removed, newcomers, kept, bytesProblem: hosts.problem, ...figures },
      ...seriesFigures(series, figures, endMs, plan),
    };
  } finally {
    steady?.kill();
    await cluster.close();
    await stopServers([...cluster.servers.values()]);
  }
}

async function replaceUnderLoad({ cluster, hosts, members, newcomers, leader, removed, steady }) {
  const goal = await cluster.goal(leader);
  const before = sample(hosts, cluster, [...members, ...newcomers]);
  const beganMs = clockMs();
  let askedMs;
  const onAsked = () => {
    askedMs = clockMs();
    cluster.toggleProfiles();
  };
  const replaced = cluster.replace({ leader, removed, onAsked }).then(() => clockMs());
  const watched = Promise.all(newcomers.map((id) => watch(cluster, id, goal, steady)));
  const [answeredMs, progress] = await Promise.all([replaced, watched]);
  cluster.toggleProfiles();
  const after = sample(hosts, cluster, [...members, ...newcomers]);
  return {
    ...{ beganMs, askedMs, answeredMs },
    completeMs: Math.max(...progress.map(({ completeMs }) => completeMs)),
    progress,
    bytesOut: differences(before.bytes, after.bytes),
    cpuSeconds: differences(before.cpu, after.cpu),
  };
}

/** Asks a newcomer how far it is until it votes and has what was there when it all began. */
async function watch(cluster, id, goal, steady) {
  const stages = [];
  let donors = [];
  for (const deadlineMs = clockMs() + timeoutMs; clockMs() < deadlineMs; await delay(pollMs)) {
    if (steady.isOver) await steady.stop();
    const seen = await lookAt(cluster, id, goal);
    if (seen === undefined) continue;
    if (stages.at(-1)?.name !== seen.stage) stages.push({ name: seen.stage, atMs: clockMs() });
    if (bytesOf(seen.donors) >= bytesOf(donors)) donors = seen.donors;
    if (seen.isComplete) return { id, stages, donors, completeMs: clockMs() };
  }
  throw new Error(`newcomer ${id} is not complete after ${timeoutMs / 1000} s: ${JSON.stringify(stages)}`);
}

/** Undefined while it does not answer: it may not have been started yet. */
async function lookAt(cluster, id, goal) {
  const server = cluster.servers.get(id);
  if (server) await throwIfEnded([server]);
  try {
    return await cluster.look(id, goal);
  } catch {
    return undefined;
  }
}

function seriesFigures(series, { beganMs, completeMs }, endMs, { secondsBefore }) {
  // What the load needs to begin does not count.
  const fromMs = beganMs - (secondsBefore * 1000 * 2) / 3;
  const before = series.rate(fromMs, beganMs);
  return {
    putsPerSecondBefore: before,
    worstShareBefore: series.worst(fromMs, beganMs - windowMs, windowMs) / before,
    worstShare: series.worst(beganMs, completeMs, windowMs) / before,
    meanShare: series.rate(beganMs, completeMs) / before,
    gapMsBefore: series.longestGap(fromMs, beganMs),
    gapMs: series.longestGap(beganMs, endMs),
    errors: series.errors,
    windows: series
      .windows(beganMs - Math.floor((beganMs - fromMs) / windowMs) * windowMs, endMs, windowMs)
      .map(({ atMs, rate }) => ({ second: (atMs - beganMs) / 1000, putsPerSecond: Math.round(rate) })),
  };
}

function sample(hosts, cluster, ids) {
  const bytes = new Map(ids.map((id) => [id, hosts.bytesOut(id)]));
  const running = ids.filter((id) => cluster.servers.get(id)?.hasEnded === false);
  return { bytes, cpu: new Map(running.map((id) => [id, cpuSecondsOf([cluster.servers.get(id).child.pid])])) };
}

/** Of each that is in `after`; who was not there before had none. */
function differences(before, after) {
  return Object.fromEntries(
    [...after].map(([id, value]) => [id, value === undefined ? undefined : value - (before.get(id) ?? 0)]),
  );
}

function bytesOf(donors) {
  return donors.reduce((sum, { bytes }) => sum + bytes, 0);
}

function endpointsOf(cluster, first, ids) {
  return [first, ...ids.filter((id) => id !== first)].map(cluster.endpointOf);
}

async function timeOf(work) {
  const beganMs = performance.now();
  await work();
  return performance.now() - beganMs;
}
