/**
 * The floors of the house, as data, and the check that holds them. `src/README.md` explains them; this is where they are decided.
 * An import may go down the table, never up or sideways; and so within a room that has folders.
 */
import { posix } from 'node:path';
import { parseAst } from 'vitest/node';

interface Room {
  /** Rooms whose modules it may import. Itself and `base` always are. */
  readonly imports: readonly string[];
  /** Rooms of which it may use types only, with `import type`. */
  readonly types?: readonly string[];
  /** Packages it may import. */
  readonly packages?: readonly string[];
  /** Neither lets the code wait or name the outside world; in a `turn`, bytes may be a Buffer. */
  readonly discipline?: Discipline;
  /** May it import Node's own modules? */
  readonly node: boolean;
  /**
   * The folders in it, the lowest first: what is in one imports nothing of those behind it. What lies in the room itself, its words and
   * who puts its parts together, may import and be imported by all.
   */
  readonly folders?: readonly string[];
}

type Discipline = 'pure' | 'turn';

const everyRoom = [
  'omnipaxos',
  'kv',
  'wire',
  'cluster',
  'tls',
  'replica',
  'storage',
  'network',
  'client',
  'host',
] as const;

const floors: Readonly<Record<string, Room>> = {
  base: { imports: [], node: false, discipline: 'pure' },

  omnipaxos: { imports: [], node: false, discipline: 'pure' },
  kv: { imports: [], node: false, discipline: 'pure' },

  wire: { imports: ['omnipaxos', 'kv'], types: ['cluster'], node: true },
  cluster: { imports: ['omnipaxos', 'wire'], types: ['kv'], node: true },
  tls: { imports: ['cluster'], node: true },
  replica: {
    imports: ['omnipaxos', 'kv', 'wire', 'cluster'],
    node: false,
    discipline: 'turn',
    folders: ['state', 'lead', 'catch-up', 'clients', 'membership'],
  },

  contracts: { imports: ['omnipaxos'], node: true },

  storage: {
    imports: ['omnipaxos', 'kv', 'wire', 'cluster'],
    types: ['replica'],
    packages: ['lmdb'],
    node: true,
    folders: ['disk', 'log', 'state', 'directory'],
  },
  backup: { imports: ['omnipaxos', 'kv', 'wire', 'cluster', 'storage'], node: true },
  network: { imports: ['wire', 'cluster', 'tls'], types: ['replica'], packages: ['ws'], node: true },
  host: { imports: [], node: true },
  client: {
    imports: ['wire', 'cluster', 'tls', 'kv'],
    types: ['omnipaxos'],
    packages: ['ws'],
    node: true,
    folders: ['call', 'connection', 'members', 'keys'],
  },

  node: { imports: everyRoom, node: true },
  'server.ts': { imports: [...everyRoom, 'node'], node: true },
  'index.ts': { imports: [...everyRoom, 'server.ts'], node: true },

  cli: {
    imports: ['client', 'cluster', 'tls', 'wire'],
    types: ['backup'],
    packages: ['@oclif/core', 'hdr-histogram-js', 'inquirer'],
    node: true,
    folders: ['arguments', 'report', 'child', 'start', 'local-cluster', 'membership', 'bench'],
  },
  commands: {
    imports: ['backup', 'cli', 'client', 'cluster', 'host', 'server.ts', 'tls', 'wire'],
    packages: ['@oclif/core', 'inquirer'],
    node: true,
  },
  bin: { imports: ['dist'], packages: ['esbuild'], node: true },
};

/** What an algorithm without an outside world does not name. */
const outsideWorld = new Set([
  ...['Date', 'performance', 'setTimeout', 'setInterval', 'setImmediate', 'queueMicrotask'],
  ...['console', 'process', 'globalThis', 'global', 'crypto', 'fetch', 'require'],
]);
const bannedNames: Readonly<Record<Discipline, ReadonlySet<string>>> = {
  pure: new Set([...outsideWorld, 'Buffer']),
  turn: outsideWorld,
};
const bannedMembers = new Set(['Math.random']);

/** Files from which all others must be reachable. */
const entries: readonly string[] = [
  'src/index.ts',
  'src/server.ts',
  'src/omnipaxos/index.ts',
  'src/contracts/store-contract.ts',
  'src/cli/dispatch.ts',
];
const isEntry = (file: string) => entries.includes(file) || /^(commands|bin)\//.test(file);

const vagueNames = /^(utils?|helpers?|common)$/i;

interface Import {
  /** As written. */
  readonly specifier: string;
  readonly typeOnly: boolean;
  readonly line: number;
}

interface Source {
  readonly imports: readonly Import[];
  /** Each identifier and member path, and 'async' where the file waits, with the line of its first use. */
  readonly names: ReadonlyMap<string, number>;
}

interface Node {
  readonly type: string;
  readonly start: number;
  readonly [key: string]: unknown;
}

/** Checks files given as path → text, and returns one message per breach. */
export function breaches(files: ReadonlyMap<string, string>): string[] {
  const sources = new Map([...files].map(([file, text]) => [file, parse(file, text)]));
  return [
    ...[...files.keys()].flatMap(checkName),
    ...[...sources].flatMap(([file, source]) => checkImports(file, source, files)),
    ...[...sources].flatMap(([file, source]) => checkDiscipline(file, source)),
    ...checkCycles(sources),
    ...checkReach(sources),
  ];
}

function checkName(file: string): string[] {
  const found: string[] = [];
  const words = file.split(/[/.\-_]/);
  if (words.some((word) => vagueNames.test(word))) {
    found.push(`${file}: no util, helper or common: name it after what it holds`);
  }
  if (!(roomOf(file) in floors)) {
    found.push(`${file}: '${roomOf(file)}' is no room of the floors table (test/floors.ts)`);
  }
  const folder = folderOf(file);
  if (folder !== undefined && !floors[roomOf(file)]?.folders?.includes(folder)) {
    found.push(`${file}: '${folder}' is no folder of ${roomOf(file)} in the floors table (test/floors.ts)`);
  }
  return found;
}

function checkImports(file: string, source: Source, files: ReadonlyMap<string, string>): string[] {
  const room = floors[roomOf(file)];
  if (room === undefined) return [];
  return source.imports.flatMap((found) => {
    const rule = ruleBroken(file, room, found, files);
    return rule === undefined ? [] : [`${file}:${found.line}: imports '${found.specifier}': ${rule}`];
  });
}

function ruleBroken(
  file: string,
  room: Room,
  { specifier, typeOnly }: Import,
  files: ReadonlyMap<string, string>,
): string | undefined {
  const here = roomOf(file);
  if (specifier.startsWith('node:')) {
    return room.node ? undefined : `${here} imports nothing of node:`;
  }
  if (!specifier.startsWith('.')) {
    const name = specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/');
    const allowed = room.packages ?? [];
    return allowed.includes(name) ? undefined : `${here} may import ${list(allowed, 'packages')}`;
  }
  const target = resolve(file, specifier);
  const there = roomOf(target);
  if (there !== 'dist' && !files.has(target)) {
    return `${target} does not exist (relative imports name the file, with its .ts)`;
  }
  if (there === here) return folderBroken(room, folderOf(file), folderOf(target));
  if ((there === 'base' && here !== 'bin') || room.imports.includes(there)) return undefined;
  if (!room.types?.includes(there))
    return `${here} may import ${list([...room.imports, ...(room.types ?? [])], 'rooms')}`;
  return typeOnly ? undefined : `${here} may use types of ${there} only: write 'import type'`;
}

/** `here` and `there` are folders of the same room. */
function folderBroken({ folders = [] }: Room, here: string | undefined, there: string | undefined): string | undefined {
  if (here === undefined || there === undefined) return undefined;
  const below = folders.slice(0, folders.indexOf(here));
  if (here === there || below.includes(there) || !folders.includes(there)) return undefined;
  return `${here} may import ${list(below, 'folders')} of its room`;
}

function checkDiscipline(file: string, { names }: Source): string[] {
  const room = roomOf(file);
  const discipline = floors[room]?.discipline;
  if (discipline === undefined) return [];
  return [...names]
    .filter(([name]) => bannedNames[discipline].has(name) || bannedMembers.has(name) || name === 'async')
    .map(([name, line]) =>
      name === 'async'
        ? `${file}:${line}: waits: ${room} is synchronous, without async, await or for await`
        : `${file}:${line}: uses '${name}': ${room} has no clock, timers, randomness, console or process`,
    );
}

function checkCycles(sources: ReadonlyMap<string, Source>): string[] {
  const found: string[] = [];
  const done = new Set<string>();
  const visit = (file: string, path: readonly string[]): void => {
    const at = path.indexOf(file);
    if (at >= 0) {
      const cycle = [...path.slice(at), file];
      found.push(`${path.at(-1)}: imports '${file}': a cycle: ${cycle.join(' → ')}`);
    }
    if (at >= 0 || done.has(file)) return;
    for (const next of neighbours(file, sources)) visit(next, [...path, file]);
    done.add(file);
  };
  for (const file of sources.keys()) visit(file, []);
  return found;
}

function checkReach(sources: ReadonlyMap<string, Source>): string[] {
  const reached = new Set([...sources.keys()].filter(isEntry));
  for (const file of reached) {
    for (const next of neighbours(file, sources)) reached.add(next);
  }
  const dead = [...sources.keys()].filter((file) => !reached.has(file));
  return dead.map((file) => `${file}: dead: no import leads to it from a command, or one of ${entries.join(', ')}`);
}

function neighbours(file: string, sources: ReadonlyMap<string, Source>): string[] {
  const imports = sources.get(file)?.imports ?? [];
  const targets = imports.filter(({ specifier }) => specifier.startsWith('.')).map((i) => resolve(file, i.specifier));
  return [...new Set(targets)].filter((target) => sources.has(target));
}

/** `src/kv/session.ts` → `kv`, `src/server.ts` → `server.ts`, `commands/cluster/add.ts` → `commands`. */
function roomOf(file: string): string {
  const [top = '', second = ''] = file.split('/');
  return top === 'src' ? second : top;
}

/** `src/storage/log/wal.ts` → `log`; undefined for what lies in the room itself. */
function folderOf(file: string): string | undefined {
  const [top, , folder, inner] = file.split('/');
  return top === 'src' && inner !== undefined ? folder : undefined;
}

const resolve = (file: string, specifier: string) => posix.join(posix.dirname(file), specifier);

const list = (names: readonly string[], what: string) =>
  names.length === 0 ? `no ${what}` : `only ${names.join(', ')}`;

/** Reads imports and names from the syntax tree: all kinds of import, and no text in strings or comments. */
function parse(file: string, text: string): Source {
  const imports: Import[] = [];
  const names = new Map<string, number>();
  const lineOf = (node: Node) => text.slice(0, node.start).split('\n').length;
  const note = (name: string, node: Node) => names.has(name) || names.set(name, lineOf(node));

  walk(parseAst(text, { lang: file.endsWith('.ts') ? 'ts' : 'js' }) as unknown as Node, (node) => {
    const specifier = (node['source'] as { value?: unknown } | null | undefined)?.value;
    if (typeof specifier === 'string') {
      const kind = node.type === 'TSImportType' ? 'type' : (node['importKind'] ?? node['exportKind']);
      imports.push({ specifier, typeOnly: kind === 'type', line: lineOf(node) });
    }
    if (node.type === 'Identifier') note(String(node['name']), node);
    if (node.type === 'MemberExpression') note(text.slice(node.start, Number(node['end'])), node);
    if (node.type === 'AwaitExpression' || node['async'] === true || node['await'] === true) note('async', node);
  });
  return { imports, names };
}

function walk(value: unknown, visit: (node: Node) => void): void {
  if (Array.isArray(value)) for (const item of value) walk(item, visit);
  if (!isNode(value)) return;
  visit(value);
  for (const [key, child] of Object.entries(value)) {
    // The key in `x.key` and `{ key: … }` names a member of something else, not a global.
    const isMemberName = (key === 'property' || key === 'key') && value['computed'] === false;
    if (!isMemberName) walk(child, visit);
  }
}

const isNode = (value: unknown): value is Node => typeof value === 'object' && value !== null && 'type' in value;
