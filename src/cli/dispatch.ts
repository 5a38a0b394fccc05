import { type Command, Config, execute, flush, handle, settings } from '@oclif/core';

/** The commands by id; a command in a folder has the id `folder:command`. */
export type Commands = Readonly<Record<string, Command.Class>>;

/**
 * Runs the command that `argv` names. One that is known is run at once; help, versions and misspellings take oclif's own
 * way, which looks at the manifest of all commands first. `root` is the package's folder.
 */
export async function dispatch(commands: Commands, argv: readonly string[], root: string): Promise<void> {
  // Commands come from the bundle, also where NODE_ENV or a tsconfig.json makes oclif look for sources.
  settings.enableAutoTranspile = false;
  const named = commandNamed(commands, argv);
  if (named === undefined || asksForHelp(named.rest)) {
    await execute({ dir: root, args: [...argv] });
    return;
  }
  try {
    const config = await Config.load({ root });
    named.command.id = named.id;
    await named.command.run(named.rest, config);
    await flush();
  } catch (error) {
    await handle(error as Error);
  }
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

function asksForHelp(rest: readonly string[]): boolean {
  const end = rest.indexOf('--');
  return (end < 0 ? rest : rest.slice(0, end)).includes('--help');
}
