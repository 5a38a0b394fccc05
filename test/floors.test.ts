import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { breaches } from './floors.ts';

const root = fileURLToPath(new URL('..', import.meta.url));

describe('the house', () => {
  test('keeps its floors', () => {
    expect(breaches(readHouse())).toEqual([]);
  });
});

describe('a breach is caught', () => {
  const cases: [name: string, files: Record<string, string>, message: string][] = [
    [
      'an import upward',
      { 'src/kv/a.ts': "import { w } from '../wire/w.ts';", 'src/wire/w.ts': 'export const w = 1;' },
      "src/kv/a.ts:1: imports '../wire/w.ts': kv may import no rooms",
    ],
    [
      'an import sideways',
      { 'src/network/a.ts': "\nexport * from '../storage/s.ts';", 'src/storage/s.ts': '' },
      "src/network/a.ts:2: imports '../storage/s.ts': network may import only wire, cluster, tls, replica",
    ],
    [
      'an import upward within a room',
      {
        'src/storage/log/a.ts': "import { s } from '../state/s.ts';",
        'src/storage/state/s.ts': 'export const s = 1;',
      },
      "src/storage/log/a.ts:1: imports '../state/s.ts': log may import only disk of its room",
    ],
    [
      'a folder that the table does not know',
      { 'src/storage/misc/a.ts': '' },
      "src/storage/misc/a.ts: 'misc' is no folder of storage in the floors table (test/floors.ts)",
    ],
    [
      'a dynamic import upward',
      { 'src/client/a.ts': "export const f = () => import('../server.ts');", 'src/server.ts': '' },
      "src/client/a.ts:1: imports '../server.ts': client may import only wire, cluster, tls, kv, omnipaxos",
    ],
    [
      'a type named by import()',
      { 'src/kv/a.ts': "export type T = import('../wire/w.ts').T;", 'src/wire/w.ts': 'export type T = 1;' },
      "src/kv/a.ts:1: imports '../wire/w.ts': kv may import no rooms",
    ],
    [
      'a command that reaches into a lower floor',
      { 'commands/get.ts': "import '../src/storage/s.ts';", 'src/storage/s.ts': '' },
      "commands/get.ts:1: imports '../src/storage/s.ts': commands may import only backup, cli, client, cluster, host, server.ts, tls, wire",
    ],
    [
      'a launcher that imports sources',
      { 'bin/kv.js': "import '../src/base/b.ts';", 'src/base/b.ts': '' },
      "bin/kv.js:1: imports '../src/base/b.ts': bin may import only dist",
    ],
    [
      'a value where only types may come from',
      { 'src/storage/a.ts': "import { type R } from '../replica/r.ts';", 'src/replica/r.ts': 'export type R = 1;' },
      "src/storage/a.ts:1: imports '../replica/r.ts': storage may use types of replica only: write 'import type'",
    ],
    [
      'node: in a pure room',
      { 'src/omnipaxos/a.ts': "import type { Socket } from 'node:net';" },
      "src/omnipaxos/a.ts:1: imports 'node:net': omnipaxos imports nothing of node:",
    ],
    [
      'node: in replica',
      { 'src/replica/a.ts': "import 'node:fs';" },
      "src/replica/a.ts:1: imports 'node:fs': replica imports nothing of node:",
    ],
    [
      'a package in the wrong room',
      { 'src/cluster/a.ts': "import { open } from 'lmdb';" },
      "src/cluster/a.ts:1: imports 'lmdb': cluster may import no packages",
    ],
    [
      'an import without its .ts',
      { 'src/wire/a.ts': "import './b';", 'src/wire/b.ts': '' },
      "src/wire/a.ts:1: imports './b': src/wire/b does not exist (relative imports name the file, with its .ts)",
    ],
    [
      'a cycle, of types too',
      { 'src/wire/a.ts': "import type { B } from './b.ts';", 'src/wire/b.ts': "import './a.ts';" },
      "src/wire/b.ts: imports 'src/wire/a.ts': a cycle: src/wire/a.ts → src/wire/b.ts → src/wire/a.ts",
    ],
    [
      'a dead file',
      { 'src/kv/a.ts': '' },
      'src/kv/a.ts: dead: no import leads to it from a command, or one of src/index.ts, src/server.ts, src/omnipaxos/index.ts, src/contracts/store-contract.ts, src/cli/dispatch.ts',
    ],
    [
      'a vague name',
      { 'src/wire/frame-utils.ts': '' },
      'src/wire/frame-utils.ts: no util, helper or common: name it after what it holds',
    ],
    [
      'a vague folder',
      { 'src/wire/common/a.ts': '' },
      'src/wire/common/a.ts: no util, helper or common: name it after what it holds',
    ],
    [
      'an unknown room',
      { 'src/attic/a.ts': '' },
      "src/attic/a.ts: 'attic' is no room of the floors table (test/floors.ts)",
    ],
    ...[
      'Date.now()',
      'new Date()',
      'setTimeout(f)',
      'setInterval(f)',
      'performance.now()',
      'console.log(1)',
      'process.pid',
      'Math.random()',
    ].flatMap((code): [string, Record<string, string>, string][] =>
      ['omnipaxos', 'kv', 'base', 'replica'].map((room) => [
        `${code} in ${room}`,
        { [`src/${room}/a.ts`]: `export const f = () => 1;\nexport const x = ${code};` },
        `src/${room}/a.ts:2: uses '${code.match(/Math\.random|set\w+|Date|performance|console|process/)?.[0]}': ${room} has no clock, timers, randomness, console or process`,
      ]),
    ),
    [
      'a Buffer in a pure room',
      { 'src/kv/a.ts': 'export const size = (b: Buffer) => b.length;' },
      "src/kv/a.ts:1: uses 'Buffer': kv has no clock, timers, randomness, console or process",
    ],
    ...['async () => {}', 'async function () {}', '{ async m() {} }'].flatMap(
      (code): [string, Record<string, string>, string][] =>
        ['omnipaxos', 'kv', 'replica'].map((room) => [
          `${code} in ${room}`,
          { [`src/${room}/a.ts`]: `export const x = ${code};` },
          `src/${room}/a.ts:1: waits: ${room} is synchronous, without async, await or for await`,
        ]),
    ),
    [
      'a top-level await',
      { 'src/kv/a.ts': 'await 1;' },
      'src/kv/a.ts:1: waits: kv is synchronous, without async, await or for await',
    ],
  ];

  test.each(cases)('%s', (_name, files, message) => {
    expect(breaches(new Map(Object.entries(files)))).toContain(message);
  });
});

describe('what is allowed passes', () => {
  test.each<[string, Record<string, string>]>([
    [
      'imports downward',
      { 'src/server.ts': "import './wire/w.ts';", 'src/wire/w.ts': "import '../kv/k.ts';", 'src/kv/k.ts': '' },
    ],
    [
      'types of an interface owned below',
      {
        'src/server.ts': "import './storage/s.ts';",
        'src/storage/s.ts': "import type { R } from '../replica/r.ts';",
        'src/replica/r.ts': '',
      },
    ],
    [
      'node: and a package where they belong',
      { 'src/server.ts': "import './network/n.ts';", 'src/network/n.ts': "import 'node:net';\nimport 'ws';" },
    ],
    [
      'a banned word in text and member names',
      { 'src/omnipaxos/index.ts': "// Date.now\nexport const x = { process: 'setTimeout' }.process;" },
    ],
    ['the launcher', { 'bin/kv.js': "await import('../dist/cli/kv.cjs');" }],
    ['a command', { 'commands/start.ts': "export const f = () => import('../src/server.ts');", 'src/server.ts': '' }],
  ])('%s', (_name, files) => {
    expect(breaches(new Map(Object.entries(files)))).toEqual([]);
  });
});

function readHouse(): Map<string, string> {
  const paths = ['src', 'commands', 'bin'].flatMap((top) =>
    readdirSync(`${root}${top}`, { recursive: true, encoding: 'utf8' }).map(
      (path) => `${top}/${path.replaceAll('\\', '/')}`,
    ),
  );
  const modules = paths.filter((path) => /\.(ts|js|mjs)$/.test(path));
  return new Map(modules.map((path) => [path, readFileSync(`${root}${path}`, 'utf8')]));
}
