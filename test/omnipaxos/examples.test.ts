import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { appendFileSync, copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createContext, runInContext } from 'node:vm';
import { buildSync } from 'esbuild';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
// @ts-expect-error: an example is written for those who use the built package, in JavaScript.
import { FileStore } from '../../docs/examples/file-store.mjs';
import { type StoreUnderTest, storeChecks } from '../../src/contracts/store-contract.ts';
import { compile, makeProject } from '../project.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const examples = join(root, 'docs/examples');

let scratch: string;

beforeEach(() => {
  scratch = mkdtempSync(join(tmpdir(), 'omnikv-examples-'));
});

afterEach(() => {
  rmSync(scratch, { recursive: true, force: true });
});

describe('docs/examples/numbers.mjs', () => {
  const run = (...numbers: string[]) =>
    execFileSync(process.execPath, [join(examples, 'numbers.mjs'), ...numbers], { encoding: 'utf8', stdio: 'pipe' });

  it('comes to the same sums at every node', () => {
    expect(run('5', '8', '13').trim().split('\n')).toEqual([1, 2, 3].map((pid) => `node ${pid}: 0 5 13 26`));
  });

  it('says what it takes', () => {
    expect(() => run('five')).toThrow('such as: node numbers.mjs 5 8 13');
  });
});

describe('docs/examples/file-store.mjs', () => {
  let files = 0;
  const openFile = (path: string): StoreUnderTest<string> => {
    const store = new FileStore(path);
    return {
      store,
      /** What is left of the file, with a last write that was torn. */
      crash: () => {
        const left = join(scratch, `${files++}.log`);
        copyFileSync(path, left);
        appendFileSync(left, '{"changes":[{"name":"append","argument":[{"type":"Nor');
        return openFile(left);
      },
      close: () => store.close(),
    };
  };
  const kind = { open: () => openFile(join(scratch, `${files++}.log`)), entry: (n: number) => `entry ${n}` };

  it.each(storeChecks(kind).map(({ name, run }) => [name, run] as const))('%s', (_name, run) => run());
});

describe('docs/examples/chat.mjs', () => {
  it('has under 100 lines', () => {
    expect(readFileSync(join(examples, 'chat.mjs'), 'utf8').trimEnd().split('\n').length).toBeLessThan(100);
  });

  it('says what it takes', () => {
    const run = () => execFileSync(process.execPath, [join(examples, 'chat.mjs'), '4'], { stdio: 'pipe' });
    expect(run).toThrow('the first argument is 4: 1, 2 or 3 is due');
  });

  it('three processes: all see the same lines; one that is killed comes back with all that was said', async () => {
    const room = new Room(scratch, await freePorts());
    try {
      for (const pid of [1, 2, 3]) room.start(pid);
      for (const pid of [1, 2, 3]) room.say(pid, `hello from ${pid}`);
      const three = await room.agreed([1, 2, 3], 3);
      expect(three.toSorted()).toEqual([1, 2, 3].map((pid) => `person ${pid}: hello from ${pid}`));
      await room.kill(1);
      room.say(2, 'where is 1?');
      room.say(3, 'gone');
      const five = await room.agreed([2, 3], 5);
      expect(five.slice(0, 3)).toEqual(three);
      room.start(1);
      room.say(1, 'back');
      const six = await room.agreed([1, 2, 3], 6);
      expect(six).toEqual([...five, 'person 1: back']);
    } finally {
      await room.close();
    }
  });
});

/** The processes of a chat room, and what each has shown. */
class Room {
  readonly #folder: string;
  readonly #basePort: number;
  readonly #members = new Map<number, { process: ChildProcess; output: string; errors: string }>();

  constructor(folder: string, basePort: number) {
    this.#folder = folder;
    this.#basePort = basePort;
  }

  start(pid: number): void {
    const child = spawn(process.execPath, [join(examples, 'chat.mjs'), String(pid), `person ${pid}`], {
      env: { ...process.env, CHAT_PORT: String(this.#basePort), CHAT_DIR: this.#folder },
    });
    const member = { process: child, output: '', errors: '' };
    child.stdout.setEncoding('utf8').on('data', (text) => {
      member.output += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text) => {
      member.errors += text;
    });
    this.#members.set(pid, member);
  }

  say(pid: number, text: string): void {
    this.#members.get(pid)?.process.stdin?.write(`${text}\n`);
  }

  /** Waits until `pids` all show `count` lines, and returns them: the same ones everywhere. */
  async agreed(pids: readonly number[], count: number): Promise<string[]> {
    const lines = (pid: number) => this.#members.get(pid)?.output.split('\n').slice(0, -1) ?? [];
    await vi.waitFor(
      () => {
        for (const pid of pids) {
          expect(this.#members.get(pid)?.errors).toBe('');
          expect(lines(pid), `node ${pid}`).toHaveLength(count);
        }
      },
      { timeout: 20_000, interval: 20 },
    );
    for (const pid of pids) expect(lines(pid)).toEqual(lines(pids[0] as number));
    return lines(pids[0] as number);
  }

  async kill(pid: number): Promise<void> {
    const child = this.#members.get(pid)?.process;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await ended;
  }

  async close(): Promise<void> {
    for (const pid of this.#members.keys()) await this.kill(pid);
  }
}

/** A port such that the three after it are free. */
async function freePorts(): Promise<number> {
  for (let attempt = 0; attempt < 50; attempt++) {
    const base = 20_000 + Math.floor(Math.random() * 30_000);
    const servers = await Promise.all([1, 2, 3].map((pid) => listen(base + pid)));
    await Promise.all(servers.map((server) => server && new Promise((resolve) => server.close(resolve))));
    if (servers.every((server) => server !== undefined)) return base;
  }
  throw new Error('found no three free ports');
}

/** Undefined if the port is taken. */
function listen(port: number): Promise<Server | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(undefined));
    server.listen(port, '127.0.0.1', () => resolve(server));
  });
}

describe('omnikv/omnipaxos by itself', () => {
  const consumer = `
    import { storeChecks } from 'omnikv/contracts';
    import {
      type Ballot, BallotLeaderElection, type BallotMessage, type Entry, MemoryStore, OmniPaxos, type PaxosMessage, type Store,
    } from 'omnikv/omnipaxos';

    const store: Store<{ readonly temperature: number }> = new MemoryStore<{ readonly temperature: number }>();
    const paxos = new OmniPaxos({ configurationId: 1, pid: 7, peers: [], store, quorum: { prepare: 1, accept: 1 } });
    const election = new BallotLeaderElection({ configurationId: 1, pid: 7, peers: [], paxos });
    const leader: Ballot | undefined = election.tick();
    if (leader) paxos.handleLeader(leader);
    const sent: (BallotMessage | PaxosMessage<{ readonly temperature: number }>)[] = paxos.getOutgoingMsgs();
    const result = paxos.proposeNormal({ temperature: 21 });
    if (!result.ok) throw new Error(result.reason);
    // @ts-expect-error: it is generic over the entry, and this is another one.
    const wrong = () => paxos.proposeNormal({ temperature: '21' });
    paxos.getOutgoingMsgs();
    const decided: Entry<{ readonly temperature: number }>[] = paxos.getDecidedEntries();
    const checks = storeChecks({ open: () => ({ store: new MemoryStore<string>() }), entry: String });
    for (const { run } of checks) await run();
    export const report = { decided, sent: sent.length, checks: checks.length > 10, wrong: typeof wrong };
  `;

  it("works in a user's project: types without those of Node, code without the rest of omnikv", () => {
    const project = makeProject(scratch, {
      'package.json': '{ "type": "module" }',
      'consumer.ts': consumer,
      'main.js': "import { report } from './consumer.js';\nconsole.log(JSON.stringify(report));\n",
      'tsconfig.json': JSON.stringify({
        compilerOptions: { target: 'es2023', lib: ['es2023'], module: 'nodenext', types: [], strict: true },
        files: ['consumer.ts'],
      }),
    });
    // The dependencies of omnikv are not installed here: what is imported needs none of them.
    expect(readdirSync(join(project, 'node_modules'))).toEqual(['omnikv']);
    compile(project);
    const output = execFileSync(process.execPath, [join(project, 'main.js')], { encoding: 'utf8' });
    expect(JSON.parse(output)).toEqual({
      decided: [{ type: 'Normal', entry: { temperature: 21 } }],
      sent: 0,
      checks: true,
      wrong: 'function',
    });
  });

  it('runs where there is nothing of Node, nor of a browser', () => {
    const { outputFiles } = buildSync({
      stdin: { contents: "export * from 'omnikv/omnipaxos';", resolveDir: root },
      bundle: true,
      write: false,
      format: 'iife',
      globalName: 'library',
      platform: 'neutral',
    });
    const bare = createContext(Object.create(null));
    runInContext(outputFiles[0]?.text as string, bare);
    const decided = runInContext(
      `const paxos = new library.OmniPaxos({ configurationId: 1, pid: 1, peers: [] });
       paxos.handleLeader({ n: 1, priority: 0, pid: 1 });
       paxos.proposeNormal('alone');
       paxos.getOutgoingMsgs();
       JSON.stringify(paxos.getDecidedEntries());`,
      bare,
    );
    expect(JSON.parse(decided)).toEqual([{ type: 'Normal', entry: 'alone' }]);
  });

  it('the types of the examples hold', () => {
    const options = { target: 'es2023', lib: ['es2023'], module: 'nodenext', types: ['node'], strict: true };
    const checked = { ...options, allowJs: true, checkJs: true, noEmit: true, skipLibCheck: true };
    const programs = readdirSync(examples).filter((name) => name.endsWith('.mjs'));
    const files = programs.map((name) => join(examples, name));
    const typeRoots = [join(root, 'node_modules/@types')];
    const path = join(scratch, 'tsconfig.json');
    writeFileSync(path, JSON.stringify({ compilerOptions: { ...checked, typeRoots }, files }));
    execFileSync(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', path], { stdio: 'inherit' });
  });
});
