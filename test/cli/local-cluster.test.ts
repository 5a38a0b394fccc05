import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { LocalCluster } from '../../src/cli/local-cluster/local-cluster.ts';

// A process that stands in for a node: says how it was started, ends cleanly on SIGTERM, and does what its last word says.
const nodeSource = `
const [command, , id, ...rest] = process.argv.slice(2);
console.log(command + ' ' + id + ' ' + rest.join(' '));
const behaviour = rest.at(-1);
if (behaviour === 'die') process.exit(7);
const keepAlive = setInterval(() => {}, 1000);
process.on('SIGTERM', () => {
  process.stderr.write('stops ' + id);
  clearInterval(keepAlive);
});
console.log('ready ' + id);
`;

let directory: string;
let nodePath: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'kv-local-'));
  nodePath = join(directory, 'node.mjs');
  writeFileSync(nodePath, nodeSource);
});
afterAll(() => rmSync(directory, { recursive: true }));

function start(behaviours: readonly string[]) {
  const output: string[] = [];
  const messages: string[] = [];
  const cluster = new LocalCluster({
    launcher: [process.execPath, nodePath],
    nodeIds: behaviours.map((_, at) => at + 1),
    nodeArguments: (id) => [behaviours[id - 1] as string],
    onOutput: (line) => output.push(line),
    onMessage: (line) => messages.push(line),
  });
  return { cluster, output, messages };
}

test('nodes are started as kv start is, told apart in what they print, and stopped once each', async () => {
  const { cluster, output, messages } = start(['live', 'live']);
  await vi.waitFor(() => expect(output).toEqual(expect.arrayContaining(['1 | ready 1', '2 | ready 2'])), 10_000);
  expect(output).toContain('1 | start 1 --stop-with-stdin live');
  expect(messages).toEqual([]);
  expect([...cluster.listening].sort()).toEqual([1, 2]);
  await cluster.stop();
  expect([...cluster.listening]).toEqual([]);
  expect(messages.sort()).toEqual(['1 | stops 1', '2 | stops 2']);
  await cluster.ended;
});

test('a node that dies is told of, and the others go on', async () => {
  const { cluster, output, messages } = start(['live', 'die']);
  const told = 'node 2 ended with exit code 7; still running: 1 of 2 nodes; to bring it back: kv start --id 2 die';
  await vi.waitFor(() => {
    expect(messages).toEqual([told]);
    expect(output).toContain('1 | ready 1');
  });
  await cluster.stop();
  expect(messages).toEqual([told, '1 | stops 1']);
});

test('ended resolves when none is left, however they ended', async () => {
  const { cluster, messages } = start(['die']);
  await cluster.ended;
  expect(messages).toEqual([
    'node 1 ended with exit code 7; still running: 0 of 1 nodes; to bring it back: kv start --id 1 die',
  ]);
  const none = new LocalCluster({
    launcher: [join(directory, 'none')],
    nodeIds: [1],
    nodeArguments: () => [],
    onOutput: () => undefined,
    onMessage: (line) => messages.push(line),
  });
  await none.ended;
  expect(messages.at(-1)).toMatch(/^node 1 ended before it began \(spawn .* ENOENT\); still running: 0 of 1 nodes; /);
});
