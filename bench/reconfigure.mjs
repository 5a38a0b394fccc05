// Replaces members of a loaded cluster: how long newcomers take, what clients notice of it, and who sends how much:
// `npm run bench:reconfigure`. With `--peer etcd`, beside etcd on the same machine. See docs/PERFORMANCE.md.
import { mkdirSync, writeFileSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { etcdVersion } from './clusters/etcd.mjs';
import { startEtcdMembers } from './clusters/etcd-members.mjs';
import { startOmnikvMembers } from './clusters/omnikv-members.mjs';
import { openHosts } from './hosts.mjs';
import { dataDirectory, median, positiveNumber } from './measure.mjs';
import { removeNow, runToEnd } from './processes.mjs';
import { measureReplacement } from './replacement.mjs';
import { comparisonText, experimentText } from './replacement-report.mjs';
import { seriesChart } from './series-chart.mjs';
import { surroundings } from './table.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));

/** Five members; the newcomers are 6 and up. */
const experiments = [
  { name: 'one', title: 'replace one of five', newcomers: 1 },
  { name: 'majority', title: 'replace three of five', newcomers: 3 },
];
const members = 5;
const hostsMax = 8;

const usage = `npm run bench:reconfigure -- [options]
  --experiments LIST  of one,majority; else both
  --entries N         entries before it begins, each of a key of its own (2000000; with --peer 200000)
  --value-bytes N     length of a value (16; with --peer 1024)
  --outstanding N     puts at a time while it goes on (64; with --peer 16)
  --before N          seconds of load before it (9)
  --after N           seconds of load behind it (5)
  --dead              the members that are replaced are stopped first: they give nothing
  --leader            the leader is one of those who are replaced
  --peer etcd         instead: one of three members replaced, in turn with etcd
  --runs N            with --peer: how often each is measured (3)
  --profile DIR       CPU profiles of our nodes while it goes on go there, a .cpuprofile each
  --data DIR          where the servers' data goes, on a disk; else the system's temporary directory
  --json              print everything measured as JSON on standard output, the tables on standard error
  --svg FILE          draw a chart of puts over time (not with --peer)`;

await runToEnd('bench:reconfigure', async (signal) => {
  const options = readOptions();
  if (options === undefined) return;
  const before = surroundings();
  const directory = dataDirectory(options.data);
  const hosts = await openHosts(hostsMax);
  try {
    if (hosts.problem !== undefined) say(`bytes by network card are not counted: ${hosts.problem}`);
    const measured = await (options.peer ? comparePeers : runExperiments)(options, directory, hosts, signal);
    if (options.isJson) process.stdout.write(`${JSON.stringify({ surroundings: before, ...measured.json })}\n`);
    (options.isJson ? process.stderr : process.stdout).write(`${before}\n\n${measured.text}`);
    if (options.svg && measured.results) writeFileSync(options.svg, seriesChart(measured.results, before));
  } finally {
    hosts.destroy();
  }
});

function readOptions() {
  const text = { type: 'string' };
  const flag = { type: 'boolean', default: false };
  const names = ['experiments', 'entries', 'value-bytes', 'outstanding', 'before', 'after', 'peer', 'runs', 'profile'];
  const { values } = parseArgs({
    options: {
      ...Object.fromEntries([...names, 'data', 'svg'].map((name) => [name, text])),
      ...{ dead: flag, leader: flag, json: flag, help: flag },
    },
  });
  if (values.help) {
    process.stdout.write(`${usage}\n`);
    return undefined;
  }
  if (values.peer !== undefined && values.peer !== 'etcd')
    throw new Error(`--peer: there is no "${values.peer}": etcd`);
  const wholeNumber = (name, fallback) => wholeOver0(values[name] ?? fallback, `--${name}`);
  return {
    experiments: experimentsNamed(values.experiments ?? 'one,majority'),
    load: {
      keys: wholeNumber('entries', values.peer ? '200000' : '2000000'),
      keyBytes: 16,
      valueBytes: wholeNumber('value-bytes', values.peer ? '1024' : '16'),
      outstanding: wholeNumber('outstanding', values.peer ? '16' : '64'),
    },
    secondsBefore: positiveNumber(values.before ?? '9', '--before'),
    secondsAfter: positiveNumber(values.after ?? '5', '--after'),
    runs: wholeNumber('runs', '3'),
    peer: values.peer,
    isDead: values.dead,
    isLeaderReplaced: values.leader,
    profile: values.profile,
    data: values.data,
    isJson: values.json,
    svg: values.svg,
  };
}

function experimentsNamed(list) {
  return list.split(',').map((name) => {
    const found = experiments.find((experiment) => experiment.name === name.trim());
    if (found !== undefined) return found;
    throw new Error(`--experiments: there is no "${name}": choose from one,majority`);
  });
}

function wholeOver0(text, what) {
  const number = Number(text);
  if (Number.isInteger(number) && number > 0 && number <= 1e9) return number;
  throw new Error(`${what} "${text}" is none: give a whole number over 0`);
}

async function runExperiments(options, directory, hosts, signal) {
  const results = [];
  for (const { name, title, newcomers } of options.experiments) {
    const own = join(directory, name);
    mkdirSync(own);
    say(title);
    const plan = {
      ...planOf(options, hosts, own, members, newcomers),
      start: (each) => startOmnikvMembers({ ...each, root }),
      // To two members that stay in both experiments, so that what is seen is no client that has to look for another node.
      load: { ...options.load, clients: 2 },
    };
    results.push({ name, title, ...(await measureReplacement(plan, signal)) });
    removeNow(own);
  }
  return { results, json: { options, results }, text: experimentText(results, options) };
}

/** In turn, and each first as often as second. */
async function comparePeers(options, directory, hosts, signal) {
  const systems = peerSystems();
  const runs = [];
  for (let run = 0; run < options.runs; run++) {
    for (const { name, start } of run % 2 === 0 ? systems : [...systems].reverse()) {
      const own = join(directory, `${name}-${run}`);
      mkdirSync(own);
      const plan = { ...planOf(options, hosts, own, 3, 1), start, load: { ...options.load, clients: 1 } };
      const figures = await measureReplacement(plan, signal);
      runs.push({ run, system: name, ...figures });
      const seconds = ((figures.completeMs - figures.beganMs) / 1000).toFixed(1);
      const worst = `worst half second ${Math.round(100 * figures.worstShare)} %`;
      say(`run ${run + 1} of ${options.runs}  ${name}  ${seconds} s, ${worst}, gap ${Math.round(figures.gapMs)} ms`);
      removeNow(own);
    }
  }
  return { json: { options, runs }, text: comparisonText(systems, runs, options, median) };
}

function peerSystems() {
  const installed = etcdVersion();
  if (installed === undefined) say("etcd is skipped: it is not installed (Debian's etcd-server)");
  return [
    { name: 'omnikv', version: 'this tree', start: (plan) => startOmnikvMembers({ ...plan, root }) },
    ...(installed === undefined ? [] : [{ name: 'etcd', version: installed, start: startEtcdMembers }]),
  ];
}

function planOf(options, hosts, directory, membersCount, newcomersCount) {
  const ids = Array.from({ length: membersCount + newcomersCount }, (_, at) => at + 1);
  return {
    ...{ hosts, directory, say },
    members: ids.slice(0, membersCount),
    newcomers: ids.slice(membersCount),
    isDead: options.isDead,
    isLeaderReplaced: options.isLeaderReplaced,
    secondsBefore: options.secondsBefore,
    secondsAfter: options.secondsAfter,
    profile: options.profile && resolve(options.profile, basename(directory)),
  };
}

function say(line) {
  process.stderr.write(`${line}\n`);
}
