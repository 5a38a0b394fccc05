import { assertNever } from '../../src/base/assert.ts';
import { toByteString } from '../../src/base/bytes.ts';
import { crc32 } from '../../src/base/crc32.ts';
import { decodeCommand } from '../../src/kv/command.ts';
import type { Outcome } from '../../src/kv/outcome.ts';
import { unpackRows } from '../../src/kv/packed-rows.ts';
import type { NodeId } from '../../src/omnipaxos/ballot.ts';
import type { Entry } from '../../src/omnipaxos/entry.ts';
import type { ResponseBody } from '../../src/wire/client-message.ts';
import type { PeerPayload } from '../../src/wire/peer-message.ts';
import { ballotInWords } from '../omnipaxos/words.ts';
import type { Cluster, Refusal, Sent } from './cluster.ts';

const lineMax = 120;
const readIdsPerLife = 2 ** 33;

/** Some messages in words, kind by kind: `Accepted 1,2→3 ×4`. Heartbeats are left out. */
export function messagesInWords(sent: readonly Sent[]): string[] {
  const kinds = new Map<string, Sent[]>();
  for (const one of sent) {
    const { type } = one.message.payload;
    if (type.startsWith('Heartbeat')) continue;
    const kind = kindOf(one.message.payload);
    kinds.set(kind, [...(kinds.get(kind) ?? []), one]);
  }
  return inLines([...kinds].map(([kind, messages]) => `${kind} ${linksInWords(messages)}${contentsInWords(messages)}`));
}

/** Why links were refused, each reason once. */
export function refusalsInWords(refusals: readonly Refusal[]): string[] {
  const lines = refusals.map(({ by, of, reason }) => `${by} refuses ${of}: ${reason.split(':')[0]}`);
  return counted(lines);
}

/** An answer to a client in words. */
export function answerInWords(answer: ResponseBody): string {
  switch (answer.type) {
    case 'outcome':
      return outcomeInWords(answer.outcome);
    case 'record':
      return answer.record ? toByteString(answer.record.value) : 'nothing';
    case 'reconfigured':
      return `configuration ${answer.configurationId}`;
    case 'failed':
      return `failed (${answer.code}), ${answer.outcome === 'unknown' ? 'outcome unknown' : 'not applied'}`;
    default:
      return answer.type;
  }
}

/** An entry of the log in words. */
export function entryInWords(entry: Entry<Uint8Array>): string {
  if (entry.type === 'StopSign') return `StopSign(${entry.stopSign.nodes.join(',')})`;
  const command = decodeCommand(entry.entry);
  if (command.kind === 'openSession') return 'session';
  if (command.kind === 'reportSpace')
    return `node ${command.report.nodeId} ${command.report.isFull ? 'is full' : 'has room'}`;
  if (command.kind === 'transact') {
    return `transact ${command.transaction.changes.map(({ key }) => toByteString(key)).join(' ')}`;
  }
  const value = command.kind === 'put' ? ` ${toByteString(command.value)}` : '';
  return `${command.kind} ${toByteString(command.key)}${value}`;
}

/** What there is to know of a node, part by part: a part that is the same as before is no news. */
export function nodeInWords(cluster: Cluster, id: NodeId): string[] {
  const { log, state } = cluster.disk(id);
  const onDisk = range(log.sequence);
  const stateOnDisk = `state ${state.appliedIndex} on disk`;
  if (!cluster.isRunning(id)) return ['is down', '', `log ${onDisk} on disk`, '', stateOnDisk];
  const { decidedIndex, appliedIndex } = cluster.replica(id).status();
  const inMemory = range(cluster.log(id).sequence);
  return [
    roleInWords(cluster, id),
    leaderInWords(cluster, id),
    inMemory === onDisk ? `log ${onDisk} on disk` : `log ${inMemory}, ${onDisk} on disk`,
    decidedIndex === appliedIndex ? `applied ${appliedIndex}` : `decided ${decidedIndex}, applied ${appliedIndex}`,
    stateOnDisk,
  ];
}

/** Lines that come more than once, once with their count. */
export function counted(lines: readonly string[]): string[] {
  const counts = new Map<string, number>();
  for (const line of lines) counts.set(line, (counts.get(line) ?? 0) + 1);
  return [...counts].map(([line, count]) => (count > 1 ? `${line} ×${count}` : line));
}

function roleInWords(cluster: Cluster, id: NodeId): string {
  const { state, configurationId, members } = cluster.replica(id).status();
  const configuration = `configuration ${configurationId} (${members.map((member) => member.id).join(' ')})`;
  switch (state) {
    case 'forming':
      return 'waits to form a cluster';
    case 'member':
      return `votes in ${configuration}`;
    case 'joining':
      return `catches up to vote in ${configuration}`;
    case 'standby':
      return configurationId === 0 ? 'stands by' : `stands by, no member of ${configuration}`;
    default:
      return assertNever(state, 'state');
  }
}

function leaderInWords(cluster: Cluster, id: NodeId): string {
  const { voter } = cluster.replica(id);
  if (!voter) return '';
  if (!voter.leader) return 'follows nobody';
  const isInReach = cluster.replica(id).status().leader !== undefined;
  const ballot = ballotInWords(voter.leader);
  if (voter.paxos.isLeaderInAcceptPhase) return `leads ${ballot}${isInReach ? '' : ' without a majority'}`;
  return `follows ${ballot}${isInReach ? '' : ' out of reach'}`;
}

/** The kind of a message: its type, and for a read what it is about. */
function kindOf(payload: PeerPayload): string {
  switch (payload.type) {
    case 'ReadIndexRequest':
      return `${payload.type} [${readIdInWords(payload.readId)}]`;
    case 'ReadIndexReply':
      return `${payload.type} [${readIdInWords(payload.readId)}: once ${payload.readIndex} are applied]`;
    default:
      return payload.type;
  }
}

/** A read id: the how manieth of which life of the asker's directory. */
function readIdInWords(readId: number): string {
  return `read ${readId % readIdsPerLife} of life ${Math.floor(readId / readIdsPerLife) + 1}`;
}

/** How much decided log or state came along. */
function contentsInWords(sent: readonly Sent[]): string {
  let entries = 0;
  let rows = 0;
  for (const { payload } of sent.map(({ message }) => message)) {
    if (payload.type === 'LogSegment') entries += payload.entries.length;
    if (payload.type === 'StateChunk' && payload.chunk) {
      rows += unpackRows(payload.chunk.rows, crc32, (row) => row)?.length ?? 0;
    }
  }
  if (entries > 0) return ` (${entries} entries)`;
  return rows > 0 ? ` (${rows} rows)` : '';
}

/** `1,2→3 ×4`: four from 1 to 3 and four from 2 to 3. Links that are alike share their words. */
function linksInWords(sent: readonly Sent[]): string {
  const links = grouped(
    sent,
    ({ from, to }) => `${from} ${to}`,
    ({ from, to }, all) => ({ from, to, count: all.length }),
  );
  const fans = grouped(
    links,
    ({ from, count }) => `${from} ×${count}`,
    ({ from, count }, all) => ({ from, to: all.map(({ to }) => to).join(), count }),
  );
  const words = grouped(
    fans,
    ({ to, count }) => `${to} ×${count}`,
    ({ to, count }, all) => `${all.map(({ from }) => from).join()}→${to}${count > 1 ? ` ×${count}` : ''}`,
  );
  return words.join(' ');
}

/** What `merge` makes of each group of items with the same key: it gets the first one and all. */
function grouped<T, U>(
  items: readonly T[],
  keyOf: (item: T) => string,
  merge: (first: T, all: readonly T[]) => U,
): U[] {
  const groups = new Map<string, T[]>();
  for (const item of items) groups.set(keyOf(item), [...(groups.get(keyOf(item)) ?? []), item]);
  return [...groups.values()].map((all) => merge(all[0] as T, all));
}

function outcomeInWords(outcome: Outcome): string {
  switch (outcome.type) {
    case 'put':
      return `revision ${outcome.revision}`;
    case 'deleted':
      return `${outcome.existed ? 'deleted' : 'was not there'}, revision ${outcome.revision}`;
    case 'sessionOpened':
      return `session ${outcome.session}`;
    case 'conflict':
      return `is at revision ${outcome.revision}`;
    case 'renewed':
      return `renewed, revision ${outcome.revision}`;
    case 'transacted':
      return `all changed, revision ${outcome.revision}`;
    case 'unmet':
      return `condition ${outcome.condition} is at revision ${outcome.revision}`;
    case 'spaceNoted':
    case 'expiryNoted':
      return 'noted';
    default:
      return `refused (${outcome.reason})`;
  }
}

/** Fills lines with parts. */
function inLines(parts: readonly string[]): string[] {
  const lines: string[] = [];
  for (const part of parts) {
    const longer = `${lines.at(-1)}; ${part}`;
    if (lines.length > 0 && longer.length <= lineMax) lines[lines.length - 1] = longer;
    else lines.push(part);
  }
  return lines;
}

const range = ({ trimmedIndex, endIndex }: { readonly trimmedIndex: number; readonly endIndex: number }) =>
  `${trimmedIndex}–${endIndex}`;
