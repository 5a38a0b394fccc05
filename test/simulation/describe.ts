import { DecodeError } from '../../src/base/bytes.ts';
import { decodeCommand } from '../../src/kv/command.ts';
import type { Transaction } from '../../src/kv/transaction.ts';
import type { Ballot } from '../../src/omnipaxos/ballot.ts';
import type { Entry } from '../../src/omnipaxos/entry.ts';
import type { PeerMessage } from '../../src/wire/peer-message.ts';

/** Messages in words for the trace. */
export function describeMessages(messages: readonly PeerMessage[]): string {
  return messages.map(describeMessage).join('; ');
}

export function describeBallot(ballot: Ballot): string {
  return `${ballot.n}.${ballot.priority}.${ballot.pid}`;
}

export function describeEntry(entry: Entry<Uint8Array>): string {
  if (entry.type === 'StopSign') return `StopSign(${entry.stopSign.configId}: ${entry.stopSign.nodes.join(' ')})`;
  const command = decoded(entry.entry);
  if (command === undefined) return `no command (${entry.entry.length} bytes)`;
  const origin = `${command.session}/${command.number}`;
  if (command.kind === 'openSession') return `open(${command.number})`;
  if (command.kind === 'reportSpace') {
    const { nodeId, configurationId, isFull } = command.report;
    return `reportSpace(c${configurationId} node ${nodeId} ${isFull ? 'full' : 'ok'})`;
  }
  if (command.kind === 'transact') return `transact(${origin} ${describeTransaction(command.transaction)})`;
  const key = text(command.key);
  const condition = command.ifRevision === undefined ? '' : ` if at ${command.ifRevision}`;
  if (command.kind !== 'put') return `${command.kind}(${origin} ${key}${condition})`;
  const ttl = command.ttlMs === undefined ? '' : ` for ${command.ttlMs} ms`;
  return `put(${origin} ${key}=${text(command.value)}${condition}${ttl})`;
}

function describeTransaction({ conditions, changes }: Transaction): string {
  const ifs = conditions.map(({ key, ifRevision }) => `if ${text(key)} at ${ifRevision}`);
  const dos = changes.map((change) =>
    change.kind === 'put' ? `${text(change.key)}=${text(change.value)}` : `delete ${text(change.key)}`,
  );
  return [...ifs, ...dos].join(', ');
}

/** Undefined for what is no command, which some clients send. */
function decoded(bytes: Uint8Array): ReturnType<typeof decodeCommand> | undefined {
  try {
    return decodeCommand(bytes);
  } catch (error) {
    if (error instanceof DecodeError) return undefined;
    throw error;
  }
}

function describeMessage({ configurationId, payload }: PeerMessage): string {
  const fields: string[] = [];
  for (const [name, value] of Object.entries(payload)) {
    if (name !== 'type') fields.push(`${name}=${describeValue(name, value)}`);
  }
  return `${payload.type}[c${configurationId}${fields.length > 0 ? ` ${fields.join(' ')}` : ''}]`;
}

function describeValue(name: string, value: unknown): string {
  if (value === undefined) return '-';
  if (name === 'entries' || name === 'suffix')
    return `(${(value as Entry<Uint8Array>[]).map(describeEntry).join(', ')})`;
  if (name === 'rows') return `${(value as unknown[]).length} rows`;
  if (isBallot(value)) return describeBallot(value);
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

function isBallot(value: unknown): value is Ballot {
  return typeof value === 'object' && value !== null && 'n' in value && 'pid' in value;
}

function text(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes.subarray(0, 12));
}
