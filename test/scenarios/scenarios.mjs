// npm run scenarios [-- --seeds 100] [--first 1]    the three cuts of PROTOCOL and more, as a table; ends with 1 if a requirement is broken
import { parseArgs } from 'node:util';
import { importTypeScript } from '../import-typescript.mjs';

const brokenLinesMax = 20;

function readOptions() {
  const { values } = parseArgs({
    options: { seeds: { type: 'string', default: '100' }, first: { type: 'string', default: '1' } },
  });
  for (const [name, text] of Object.entries(values)) {
    if (!/^[1-9][0-9]{0,8}$/.test(text))
      throw new Error(`--${name} is ${text}: a whole number is due, such as --${name} 100`);
  }
  return { seeds: Number(values.seeds), first: Number(values.first) };
}

const { seeds, first } = readOptions();
const { runScenarios } = await importTypeScript(new URL('table.ts', import.meta.url));
const broken = runScenarios(first, seeds, (line) => process.stdout.write(`${line}\n`));
for (const line of broken.slice(0, brokenLinesMax)) process.stdout.write(`BROKEN ${line}\n`);
process.stdout.write(
  broken.length === 0 ? '\nAll requirements hold.\n' : `\n${broken.length} requirements are broken.\n`,
);
process.exitCode = broken.length === 0 ? 0 : 1;
