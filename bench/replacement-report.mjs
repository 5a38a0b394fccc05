// What replacements came to, as text: tables, and bars with whether they were passed.
import { count, markdownTable } from './table.mjs';

/** Of the nodes, as they are started here. */
const electionTimeoutMs = 200;
const gapMsMax = 4 * electionTimeoutMs;
const worstShareMin = 0.8;
/** The leader may give so much more than an equal share. */
const leaderShareOver = 0.1;

/** A report of our own experiments. */
export function experimentText(results, { load, isDead, isLeaderReplaced }) {
  const what = `${count(load.keys)} entries, each of a key of its own; keys of ${load.keyBytes} bytes, values of ${load.valueBytes}`;
  const how = `${isLeaderReplaced ? ' The leader is replaced, too.' : ''}${isDead ? ' Who is replaced is stopped before.' : ''}`;
  const parts = results.map((result) => [`### ${result.title}`, ...sectionsOf(result), ''].join('\n\n'));
  return `${what}; ${load.outstanding} puts outstanding.${how}\n\n${parts.join('')}`;
}

function sectionsOf(result) {
  const sections = [summaryOf(result), stagesOf(result), nodesTable(result), barsOf(result), seriesText(result)];
  if (result.isSameLeader === false) sections.push(`Node ${result.leader} did not stay the leader.`);
  if (result.errors > 0) sections.push(`${count(result.errors)} puts failed.`);
  return sections;
}

function summaryOf(result) {
  const { beganMs, askedMs, answeredMs, completeMs } = result;
  return markdownTable([
    ['what', 'measured'],
    ['puts/s before', count(result.putsPerSecondBefore)],
    ['worst half second before', percent(result.worstShareBefore)],
    ['worst half second during', percent(result.worstShare)],
    ['mean during', percent(result.meanShare)],
    ['longest gap before, ms', count(result.gapMsBefore)],
    ['longest gap during, ms', count(result.gapMs)],
    ['newcomers started, s', seconds(askedMs - beganMs)],
    ['answered after, s', seconds(answeredMs - beganMs)],
    ...result.progress.map(({ id, completeMs: atMs }) => [`node ${id} complete after, s`, seconds(atMs - beganMs)]),
    ['all complete after, s', seconds(completeMs - beganMs)],
  ]);
}

function stagesOf({ progress, beganMs }) {
  const lines = progress.map(({ id, stages }) => {
    return `node ${id}: ${stages.map(({ name, atMs }) => `${name} at ${seconds(atMs - beganMs)}`).join(', ')}`;
  });
  return `Stages, s: ${lines.join('; ')}.`;
}

/** A line for each node: what it sent in all, what it gave to newcomers, and the CPU time it took. */
function nodesTable(result) {
  const given = givenBy(result);
  const whole = sum([...given.values()]);
  const rows = Object.keys(result.cpuSeconds).map((id) => [
    `${id}${roleOf(result, Number(id))}`,
    megabytes(result.bytesOut[id]),
    megabytes(given.get(Number(id)) ?? 0),
    whole === 0 ? '-' : percent((given.get(Number(id)) ?? 0) / whole),
    result.cpuSeconds[id].toFixed(2),
  ]);
  return markdownTable([['node', 'sent in all, MB', 'given to newcomers, MB', 'share', 'CPU s'], ...rows]);
}

function roleOf({ leader, removed, newcomers }, id) {
  if (id === leader) return ' (leader)';
  if (removed.includes(id)) return ' (replaced)';
  return newcomers.includes(id) ? ' (new)' : '';
}

/** Bytes of rows and entries by node, as newcomers counted them. */
export function givenBy({ progress }) {
  const given = new Map();
  for (const { donors } of progress) {
    for (const { id, bytes } of donors) given.set(id, (given.get(id) ?? 0) + bytes);
  }
  return given;
}

function barsOf(result) {
  const given = givenBy(result);
  // All who stay have what newcomers need; if others gave something, these could as well.
  const donors = Math.max(result.kept.length, [...given.values()].filter((bytes) => bytes > 0).length);
  const leaderShare = (given.get(result.leader) ?? 0) / Math.max(1, sum([...given.values()]));
  const leaderShareMax = 1 / donors + leaderShareOver;
  return markdownTable([
    ['bar', 'measured', 'at most', 'verdict'],
    barRow('throughput down in the worst half second', 1 - result.worstShare, 1 - worstShareMin, percent),
    barRow('gap, ms (4 election timeouts)', result.gapMs, gapMsMax, count),
    barRow(`leader's share of what ${donors} donors give`, leaderShare, leaderShareMax, percent),
  ]);
}

function barRow(bar, value, most, text) {
  return [bar, text(value), text(most), value <= most ? 'pass' : 'FAIL'];
}

function seriesText({ windows }) {
  const line = windows.map(({ second, putsPerSecond }) => `${second.toFixed(1)}: ${count(putsPerSecond)}`);
  return `Puts/s in half seconds, by when they began: ${line.join(' · ')}`;
}

/** A report of a comparison. Each cell: minimum / median / maximum of the runs. */
export function comparisonText(systems, runs, { load, isDead, isLeaderReplaced }, median) {
  const spread = (numbers, text) => [Math.min(...numbers), median(numbers), Math.max(...numbers)].map(text).join(' / ');
  const lines = [
    ['puts/s before', (run) => run.putsPerSecondBefore, count],
    ['newcomer complete after, s', (run) => (run.completeMs - run.beganMs) / 1000, (value) => value.toFixed(1)],
    [
      '… since the members were changed, s',
      (run) => (run.completeMs - run.askedMs) / 1000,
      (value) => value.toFixed(1),
    ],
    ['worst half second before, %', (run) => 100 * run.worstShareBefore, count],
    ['worst half second, %', (run) => 100 * run.worstShare, count],
    ['mean during, %', (run) => 100 * run.meanShare, count],
    ['longest gap before, ms', (run) => run.gapMsBefore, count],
    ['longest gap, ms', (run) => run.gapMs, count],
    ['sent by the leader, MB', (run) => (run.bytesOut[run.leader] ?? Number.NaN) / 1e6, count],
    ['sent by each other, MB', (run) => otherBytes(run) / 1e6, count],
    ["leader's share of what newcomers got, %", leaderShareOf, count],
    ['CPU s of the newcomer', (run) => run.cpuSeconds[run.newcomers[0]], (value) => value.toFixed(1)],
    ['CPU s of the others', otherCpuSeconds, (value) => value.toFixed(1)],
    ['puts that failed', (run) => run.errors, count],
  ];
  const rows = lines.map(([what, figure, text]) => [
    what,
    ...systems.map(({ name }) => spread(runs.filter((run) => run.system === name).map(figure), text)),
  ]);
  const names = systems.map(({ name, version }) => `${name} (${version})`);
  const shape = `${count(load.keys)} keys with values of ${load.valueBytes} bytes, ${load.outstanding} puts outstanding`;
  const dead = isDead ? 'who is replaced is stopped before' : 'who is replaced runs until then';
  const who = isLeaderReplaced ? 'The leader of three' : 'One of three';
  const note = `${who} replaced; ${shape}; ${dead}. Minimum / median / maximum. Sent: by the network card, replication included.`;
  return `${markdownTable([['', ...names], ...rows])}\n\n${note}\n`;
}

/** Mean of the other members that stay. */
function otherBytes({ bytesOut, kept, leader }) {
  const others = kept.filter((id) => id !== leader).map((id) => bytesOut[id] ?? Number.NaN);
  return sum(others) / others.length;
}

function otherCpuSeconds({ cpuSeconds, newcomers }) {
  return sum(Object.values(cpuSeconds)) - sum(newcomers.map((id) => cpuSeconds[id]));
}

function leaderShareOf(run) {
  const given = givenBy(run);
  return given.size === 0 ? 100 : (100 * (given.get(run.leader) ?? 0)) / sum([...given.values()]);
}

function sum(numbers) {
  return numbers.reduce((total, number) => total + number, 0);
}

function percent(share) {
  return `${Math.round(100 * share)} %`;
}

function seconds(ms) {
  return (ms / 1000).toFixed(2);
}

function megabytes(bytes) {
  return bytes === undefined ? '-' : (bytes / 1e6).toFixed(1);
}
