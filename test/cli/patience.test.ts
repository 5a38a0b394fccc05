import { createServer, type Server } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import Lock from '../../commands/lock.ts';
import { runCommand } from './run-command.ts';

const silent: Server[] = [];
afterEach(() => {
  for (const server of silent.splice(0)) server.close();
});

/** Where somebody takes connections and says nothing. */
async function silentEndpoint(): Promise<string> {
  const server = createServer((socket) => socket.unref());
  silent.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `127.0.0.1:${(server.address() as { readonly port: number }).port}`;
}

test('kv lock tries to reach a node for as long as it waits for the lock, unless it is told otherwise', async () => {
  const where = ['--endpoints', await silentEndpoint()];
  const waits = (...flags: string[]) => runCommand(Lock, 'lock', 'deploy', ...flags, ...where, '--', 'true');
  for (const flags of [
    ['--wait', '600ms'],
    ['--wait', '1h', '--timeout', '600ms'],
  ]) {
    const { stderr, exitCode } = await waits(...flags);
    expect(stderr).toContain('within 600 ms');
    expect(exitCode).toBe(5);
  }
});
