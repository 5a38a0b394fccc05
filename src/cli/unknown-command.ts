import { nearestWord } from '../cluster/nearest-word.ts';

/** What other stores call it. */
const wordsElsewhere: ReadonlyMap<string, string> = new Map([
  ['set', 'put'],
  ['del', 'delete'],
  ['rm', 'delete'],
  ['ls', 'list'],
  ['keys', 'list'],
  ['scan', 'list'],
  ['snapshot', 'backup save'],
  ['server', 'start'],
  ['endpoint', 'status'],
  ['member update', 'reconfigure'],
]);

/** What needs no command. */
const ownFlags = ['--help', '--version'];

/**
 * Why the words that `argv` begins with name no command, and which one was probably meant; undefined if they may be a folder of commands,
 * or what needs none, or nothing. `ids` are the known ones, `folder:command`.
 */
export function unknownCommand(argv: readonly string[], ids: readonly string[]): string | undefined {
  const names = ids.map((id) => id.replace(':', ' '));
  const folders = new Set(names.filter((name) => name.includes(' ')).map((name) => name.split(' ')[0] as string));
  const [first, second] = argv;
  if (first === undefined || ownFlags.includes(first)) return undefined;
  if (first.startsWith('-'))
    return `kv: "${first}" is no command; flags go after the command: kv COMMAND ${first} ...; kv help lists them`;
  const isInFolder = folders.has(first);
  if (isInFolder && (second === undefined || ownFlags.includes(second))) return undefined;
  const said = isInFolder ? `${first} ${second}` : first;
  if (names.includes(said)) return undefined;
  const near = isInFolder ? names.filter((name) => name.startsWith(`${first} `)) : [...names, ...folders, 'help'];
  const meant =
    isInFolder && second?.startsWith('-') ? undefined : (wordsElsewhere.get(said) ?? nearestWord(said, near));
  const guess = meant === undefined ? '' : ` did you mean kv ${meant}?`;
  return `kv: "${said}" is no command;${guess} kv help${isInFolder ? ` ${first}` : ''} lists them`;
}
