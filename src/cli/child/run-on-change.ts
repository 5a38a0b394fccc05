import { isUtf8 } from 'node:buffer';
import { KvError } from '../../client/call/errors.ts';
import { printMessage } from '../output.ts';
import type { Change } from '../report/changes.ts';
import { ChildCommand, type CommandWords, codeOfSignal, passedSignals } from './child-command.ts';

const title = 'kv watch';

/**
 * Runs the command for each change, one after the other, until there are no more, the command fails, or a signal comes. `watch` is what gives
 * the changes, until its signal is aborted. While the command runs nothing is taken from it: what changes meanwhile comes as it is then.
 * Gives the exit code: that of the command, where it failed or was told to stop, as shells do where a signal ended it.
 */
export async function runOnChange(
  watch: (signal: AbortSignal) => AsyncIterable<Change>,
  command: CommandWords,
): Promise<number> {
  const asked = new AbortController();
  const onSignal = (signal: NodeJS.Signals) => asked.abort(signal);
  for (const signal of passedSignals) process.on(signal, onSignal);
  try {
    for await (const change of watch(asked.signal)) {
      const code = await new ChildCommand(command, title, inputOf(change)).ended();
      if (asked.signal.aborted) return code;
      if (code !== 0) {
        printMessage(`${title}: ends, since ${command[0]} did with ${code}`);
        return code;
      }
    }
    return 0;
  } catch (error) {
    if (error instanceof KvError && error.code === 'aborted') return codeOfSignal(asked.signal.reason);
    throw error;
  } finally {
    for (const signal of passedSignals) process.off(signal, onSignal);
  }
}

/** What the command is told: the value where it can be of any length and any bytes, and the rest where scripts have it at hand. */
function inputOf(change: Change) {
  const { type, key, revision } = change;
  const keyBytes = Buffer.from(key);
  // A variable holds text, and ends at a zero.
  const isText = isUtf8(keyBytes) && !keyBytes.includes(0);
  // All are named: this may itself run for a change.
  const variables = {
    KV_WATCH_TYPE: type,
    KV_WATCH_KEY: isText ? keyBytes.toString() : undefined,
    KV_WATCH_KEY_BASE64: isText ? undefined : keyBytes.toString('base64'),
    KV_WATCH_REVISION: revision === undefined ? undefined : `${revision}`,
  };
  return { variables, input: type === 'put' ? change.value : new Uint8Array() };
}
