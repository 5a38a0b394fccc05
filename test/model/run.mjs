// Checks the formal model of Sequence Paxos with Spin: `npm run model`. What is modelled: README.md beside this file.
import { execFile, spawnSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const model = fileURLToPath(new URL('sequence-paxos.pml', import.meta.url));
const usage = 'usage: npm run model [-- --quick | --sound | --planted]';

/** Memory that one verifier may take, and the longest path; over either, the run fails. */
const memoryMbMax = 5000;
const depthMax = 100_000;
const runTimeoutMs = 600_000;
const workersMax = 2;

const execute = promisify(execFile);

/** Which must hold, exhaustively within their bounds. `d` holds the model's bounds. */
const sound = [
  { name: 'loss, 2 ballots, 1 entry', d: { BALLOTS: 2, ENTRIES: 1 } },
  { name: 'loss, 2 ballots, 2 entries', d: { BALLOTS: 2, ENTRIES: 2 }, isQuick: true },
  { name: 'loss, 2 ballots, 3 entries', d: { BALLOTS: 2, ENTRIES: 3 } },
  { name: 'loss, 3 ballots, 2 entries', d: { BALLOTS: 3, ENTRIES: 2 } },
  { name: 'ballots 1 and 3 of one node', d: { BALLOTS: 3, ENTRIES: 2, OWNER_3: 0 } },
  { name: 'prepared again in session', d: { BALLOTS: 2, ENTRIES: 1, REPREPARE: 1 } },
  { name: 'prepare quorum 3, accept quorum 1', d: { BALLOTS: 3, ENTRIES: 2, PREPARE_QUORUM: 3, ACCEPT_QUORUM: 1 } },
  { name: 'prepare quorum 1, accept quorum 3', d: { BALLOTS: 3, ENTRIES: 2, PREPARE_QUORUM: 1, ACCEPT_QUORUM: 3 } },
  { name: 'any node crashes, 1 entry', d: { BALLOTS: 2, ENTRIES: 1, CRASHES: 1 }, isQuick: true },
  { name: 'two crashes of any nodes, 1 entry', d: { BALLOTS: 2, ENTRIES: 1, CRASHES: 2 } },
  { name: 'first leader crashes, 2 entries', d: { BALLOTS: 2, ENTRIES: 2, CRASHES: 1, CRASHER: 0 } },
  { name: 'second leader crashes, 2 entries', d: { BALLOTS: 2, ENTRIES: 2, CRASHES: 1, CRASHER: 1 } },
  { name: 'follower crashes, 2 entries', d: { BALLOTS: 2, ENTRIES: 2, CRASHES: 1, CRASHER: 2 } },
  { name: 'any node crashes, 3 ballots, 1 entry', d: { BALLOTS: 3, ENTRIES: 1, CRASHES: 1 } },
  { name: 'catch-up, 2 ballots, 2 entries', d: { BALLOTS: 2, ENTRIES: 2, CATCH_UP: 1 } },
  { name: 'catch-up, 3 ballots, 1 entry', d: { BALLOTS: 3, ENTRIES: 1, CATCH_UP: 1 } },
  { name: 'catch-up and a crash, 1 entry', d: { BALLOTS: 2, ENTRIES: 1, CATCH_UP: 1, CRASHES: 1 } },
];

const lossy = { BALLOTS: 2, ENTRIES: 2 };
const deposed = { BALLOTS: 3, ENTRIES: 2 };
const crashing = { BALLOTS: 2, ENTRIES: 1, CRASHES: 1 };

/** Mistakes: Spin must find each, and by a property, not by a bound that was too small. */
const planted = [
  { name: 'ADOPT_BY_LENGTH', d: deposed },
  { name: 'NO_MIN', d: lossy, isQuick: true },
  { name: 'ACCEPTED_BEFORE_FLUSH', d: crashing, isQuick: true },
  { name: 'PROMISE_BEFORE_FLUSH', d: crashing },
  { name: 'OWN_VOTE_BEFORE_FLUSH', d: crashing },
  { name: 'REUSE_BALLOT', d: crashing },
  { name: 'QUORUM_LESS_ONE', d: lossy },
  { name: 'PREPARE_QUORUM=1', d: lossy },
  { name: 'APPEND_AFTER_STOPSIGN', d: lossy },
  { name: 'KEEP_TAIL', d: lossy },
  { name: 'SYNC_SHORTENS', d: lossy },
  { name: 'SYNC_IGNORES_ROUND', d: deposed },
];

/** What must be reachable, lest the properties should hold because nothing ever happens. */
const reachable = [
  { name: 'SEEK_STOPSIGN', d: lossy, isQuick: true },
  { name: 'SEEK_HANDOVER', d: lossy },
  { name: 'SEEK_REPLACED_STOPSIGN', d: lossy },
  { name: 'SEEK_LOST_ENTRY', d: crashing },
  { name: 'SEEK_CRASHED_LEADER', d: { ...crashing, CRASHER: 0 } },
];

const boundTooSmall = 'the bound MESSAGES is too small';

/** How a violated assertion reads in the model's words; the first that fits. */
const properties = [
  [/netSize/, boundTooSmall],
  [/chosenIn/, 'a leader lacks what was decided'],
  [/&4\)!=0/, 'an entry follows a StopSign'],
  [/leaderLog|before/, 'two logs in one ballot'],
  [/chosen/, 'decided entries differ'],
  [/from<=/, 'a sync leaves a gap'],
];

await main();

async function main() {
  const args = process.argv.slice(2);
  const [mode] = args;
  if (args.length > 1 || (mode !== undefined && !['--quick', '--sound', '--planted'].includes(mode))) fail(usage);
  requireTool('spin', ['-V'], 'spin');
  requireTool('cc', ['--version'], 'gcc');
  const pick = (list) => (mode === '--quick' ? list.filter((run) => run.isQuick) : list);
  const startedMs = performance.now();
  const isSound = mode === '--planted' || (await checkSound(pick(sound)));
  const isBiting = mode === '--sound' || (await checkFound(pick(planted), pick(reachable)));
  console.log(`total: ${((performance.now() - startedMs) / 1000).toFixed(0)} s`);
  if (!isSound || !isBiting) process.exitCode = 1;
}

async function checkSound(runs) {
  console.log('exhaustive within bounds, 3 nodes:');
  return await everyRun(runs, [], (run, result) => {
    const isGood = result.problem === undefined && result.violation === undefined;
    report(run.name, result, isGood, isGood ? 'holds' : (result.problem ?? describe(result.violation)));
    if (result.violation) console.log(result.trace);
    return isGood;
  });
}

async function checkFound(mistakes, goals) {
  console.log('planted mistakes, each must be found:');
  const isFound = await everyRun(mistakes, ['name'], (run, result) => {
    const property = result.violation && describe(result.violation);
    const isGood = result.problem === undefined && property !== undefined && property !== boundTooSmall;
    report(run.name, result, isGood, isGood ? `found: ${property}` : (result.problem ?? property ?? 'NOT FOUND'));
    return isGood;
  });
  console.log('must be reachable:');
  const isReached = await everyRun(goals, ['name'], (run, result) => {
    const isGood = result.problem === undefined && result.violation?.includes('!(') === true;
    report(run.name, result, isGood, isGood ? 'reached' : (result.problem ?? 'NOT REACHED'));
    return isGood;
  });
  return isFound && isReached;
}

/** Verifies all, some at a time; true if `judge` is content with every one. `keys` name further defines of a run. */
async function everyRun(runs, keys, judge) {
  const queue = [...runs];
  let isGood = true;
  const work = async () => {
    for (let run = queue.shift(); run; run = queue.shift()) {
      const result = await verify([...bounds(run.d), ...keys.map((key) => `-D${run[key]}`)]);
      isGood = judge(run, result) && isGood;
    }
  };
  await Promise.all(Array.from({ length: workersMax }, work));
  return isGood;
}

/** Generates, compiles and runs the verifier in a directory of its own. */
async function verify(defines) {
  const directory = mkdtempSync(join(tmpdir(), 'omnikv-model-'));
  const run = async (command, args) => {
    const options = { cwd: directory, timeout: runTimeoutMs, maxBuffer: 64 * 1024 * 1024 };
    return (await execute(command, args, options)).stdout;
  };
  const startedMs = performance.now();
  try {
    // Spin writes its trail beside where it runs and reads it beside the model.
    copyFileSync(model, join(directory, 'model.pml'));
    await run('spin', [...defines, '-a', 'model.pml']);
    await run('cc', ['-O1', '-w', '-DSAFETY', '-DCOLLAPSE', `-DMEMLIM=${memoryMbMax}`, '-o', 'pan', 'pan.c']);
    const output = await run('./pan', [`-m${depthMax}`, '-w24']);
    const result = { ...parse(output), seconds: (performance.now() - startedMs) / 1000 };
    if (result.violation) return { ...result, trace: await run('spin', [...defines, '-t', 'model.pml']) };
    const isWhole =
      /errors: 0\b/.test(output) && !/max search depth too small|out of memory|not completed/.test(output);
    return isWhole ? result : { ...result, problem: `incomplete (depth, memory or time):\n${output}` };
  } catch (error) {
    return { problem: `${error.message}\n${error.stdout ?? ''}` };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function parse(output) {
  return {
    states: Number(/(\S+) states, stored/.exec(output)?.[1]),
    depth: Number(/depth reached (\d+)/.exec(output)?.[1]),
    memoryMb: Number(/([\d.]+)\s+total actual memory usage/.exec(output)?.[1]),
    violation: /pan:\d+: (.*) \(at depth \d+\)/.exec(output)?.[1],
  };
}

function describe(violation) {
  return properties.find(([pattern]) => pattern.test(violation))?.[1] ?? violation;
}

function report(name, { states, depth, memoryMb, seconds }, isGood, verdict) {
  const count = Number.isFinite(states) ? states.toLocaleString('en-US') : '-';
  const cells = [name.padEnd(37), `${count} states`.padStart(18), `depth ${depth ?? '-'}`.padStart(10)];
  cells.push(`${(memoryMb ?? 0).toFixed(0)} MB`.padStart(8), `${(seconds ?? 0).toFixed(1)} s`.padStart(8));
  console.log(`${isGood ? 'ok  ' : 'FAIL'} ${cells.join(' ')}  ${verdict}`);
}

function bounds(defines) {
  return Object.entries(defines).map(([key, value]) => `-D${key}=${value}`);
}

function requireTool(command, args, debianPackage) {
  if (!spawnSync(command, args).error) return;
  fail(`the model needs \`${command}\`, which is not installed; on Debian: apt-get install ${debianPackage}`);
}

function fail(line) {
  console.error(line);
  process.exit(1);
}
