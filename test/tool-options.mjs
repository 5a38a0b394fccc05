import { parseArgs } from 'node:util';

/**
 * Options of the command line as texts, by their names, which `options` lists as `parseArgs` takes them. Those asked for help, or
 * that got an option wrong, see `usage`, and the process ends: with 0, or with 2 and what was wrong. `check` names that, if
 * there is anything, for the values.
 */
export function readToolOptions(usage, options, check = () => undefined) {
  const { values, problem } = parse(options);
  if (values?.help) {
    process.stdout.write(usage);
    process.exit(0);
  }
  const wrong = problem ?? check(values);
  if (wrong === undefined) return values;
  process.stderr.write(`${wrong}\n\n${usage}`);
  process.exit(2);
}

function parse(options) {
  try {
    return parseArgs({ options: { ...options, help: { type: 'boolean' } } });
  } catch (error) {
    if (!String(error.code).startsWith('ERR_PARSE_ARGS')) throw error;
    return { problem: error.message };
  }
}
