import { type Command, Config } from '@oclif/core';
import { vi } from 'vitest';

/** What a command left behind. */
export interface CommandResult {
  readonly stdout: string;
  readonly stderr: string;
  readonly exitCode: number;
}

type CommandClass = new (argv: string[], config: Config) => Command;

/** Runs a command in this process and catches what it writes and the exit code that it sets. */
export async function runCommand(type: CommandClass, id: string, ...argv: string[]): Promise<CommandResult> {
  const stdout = capture(process.stdout);
  const stderr = capture(process.stderr);
  const exitCodeBefore = process.exitCode;
  process.exitCode = undefined;
  const config = new Config({ root: process.cwd() });
  // There are no plugins whose hooks could run.
  config.runHook = async () => ({ successes: [], failures: [] });
  const command = new type(argv, config);
  command.id = id;
  try {
    await (command as unknown as { _run(): Promise<unknown> })._run();
    return { stdout: stdout.text(), stderr: stderr.text(), exitCode: Number(process.exitCode ?? 0) };
  } finally {
    stdout.restore();
    stderr.restore();
    process.exitCode = exitCodeBefore;
  }
}

function capture(stream: NodeJS.WriteStream) {
  const chunks: Uint8Array[] = [];
  const spy = vi.spyOn(stream, 'write').mockImplementation((chunk, encoding?: unknown, done?: unknown) => {
    chunks.push(Buffer.from(chunk as Uint8Array));
    const callback = typeof encoding === 'function' ? encoding : done;
    if (typeof callback === 'function') callback();
    return true;
  });
  return { text: () => Buffer.concat(chunks).toString('latin1'), restore: () => spy.mockRestore() };
}
