import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from '@oclif/core/command';
import { Config } from '@oclif/core/config';
import { flush } from '@oclif/core/flush';
import { handle } from '@oclif/core/handle';
import type { PJSON, Plugin } from '@oclif/core/interfaces';
import { settings } from '@oclif/core/settings';
import { exitCodes } from './exit-codes.ts';
import { unknownCommand } from './unknown-command.ts';

/** The commands by id; a command in a folder has the id `folder:command`. */
export type Commands = Readonly<Record<string, Command.Class>>;

/**
 * Runs the command that `said` names. One that is known is run at once; help and versions take oclif's own way, which looks at the
 * manifest of all commands first. `root` is the package's folder.
 */
export async function dispatch(commands: Commands, said: readonly string[], root: string): Promise<void> {
  const argv = inOurWords(said, Object.keys(commands));
  // Commands come from the bundle, also where NODE_ENV or a tsconfig.json makes oclif look for sources.
  settings.enableAutoTranspile = false;
  const named = commandNamed(commands, argv);
  if (named === undefined || asksForHelp(named.rest)) {
    const words = behindHelp(argv);
    const problem = unknownCommand(words, Object.keys(commands));
    if (problem !== undefined) {
      if (argv.includes('--json')) process.stdout.write(`${JSON.stringify(usageFailure(problem))}\n`);
      process.stderr.write(`${problem}\n`);
      process.exitCode = exitCodes.usage.code;
      return;
    }
    const { execute } = await import('@oclif/core/execute');
    // `kv help put`, as git and etcdctl have it.
    await execute({ dir: root, args: words.length < argv.length ? [...words, '--help'] : [...words] });
    return;
  }
  try {
    const plugin = pluginAt(root);
    const config = await Config.load({ root, plugins: new Map([[plugin.name, plugin]]) });
    named.command.id = named.id;
    await named.command.run(named.rest, config);
    await flush();
  } catch (error) {
    await handle(error as Error);
  }
}

/** As every command writes a failure with `--json`. */
function usageFailure(message: string): object {
  return { error: { code: 'badInput', message, outcome: 'notApplied' } };
}

/**
 * This package as oclif's only plugin, without its manifest: to read it and sort all commands takes a tenth of the time of a command that
 * is known by its class.
 */
function pluginAt(root: string): Plugin {
  const pjson = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as PJSON;
  const { name, version } = pjson;
  const none = { commandIDs: [], commands: [], commandsDir: undefined, hasManifest: false, hooks: {}, topics: [] };
  return {
    ...none,
    ...{ _base: '', alias: name, name, version, pjson, root, type: 'core', moduleType: 'module', options: { root } },
    ...{ isRoot: true, valid: true },
    load: async () => {},
    findCommand: () => undefined as never,
  };
}

interface Named {
  readonly id: string;
  readonly command: Command.Class;
  readonly rest: string[];
}

function commandNamed(commands: Commands, argv: readonly string[]): Named | undefined {
  for (const words of [2, 1]) {
    const id = argv.slice(0, words).join(':');
    if (argv.length < words || !Object.hasOwn(commands, id)) continue;
    return { id, command: commands[id] as Command.Class, rest: argv.slice(words) };
  }
  return undefined;
}

/** As other stores' commands are asked for help and for their version. Behind an argument, `-h` may be meant as one: `kv put flag -h`. */
function inOurWords(argv: readonly string[], ids: readonly string[]): readonly string[] {
  if (argv.length === 1 && ['-v', '-V', 'version'].includes(argv[0] as string)) return ['--version'];
  const asked = argv.slice(0, -1);
  const isNamed =
    asked.every((word) => word === 'help') ||
    ids.some((id) => id === asked.join(':') || id.startsWith(`${asked.join(':')}:`));
  return argv.at(-1) === '-h' && isNamed ? [...asked, '--help'] : argv;
}

/** What help is asked for with the word first, which may also be `help` itself. */
function behindHelp(argv: readonly string[]): readonly string[] {
  const first = argv.findIndex((word) => word !== 'help');
  return argv.slice(first < 0 ? argv.length : first);
}

function asksForHelp(rest: readonly string[]): boolean {
  const end = rest.indexOf('--');
  return (end < 0 ? rest : rest.slice(0, end)).includes('--help');
}
