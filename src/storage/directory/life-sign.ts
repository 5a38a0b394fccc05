import { once } from 'node:events';
import { closeSync, openSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';

/** Longest path that every system takes for a socket, bytes: some cut off what is over 103. */
const socketPathBytesMax = 100;
const backlogIsFull = 'EAGAIN';

/** That a thread lives, shown to all processes of the machine, in whatever container. */
export interface LifeSign {
  /** Takes it back; the directory is at `directory` now. */
  end(directory: string): void;
}

/** - `lives`: it may stand still all the same. - `dead`: it has ended. - `unknown`: it never showed itself. */
export type Life = 'lives' | 'dead' | 'unknown';

/**
 * Listens on the socket `name` in `directory`. The system takes connections to it as long as this thread is there, even while it stands still, and
 * refuses them as soon as it is gone. Undefined where that is not to be had: not every file system has sockets.
 */
export async function showLife(directory: string, name: string): Promise<LifeSign | undefined> {
  // Who connects has learned by that all that there is to learn.
  const server = createServer((socket) => socket.destroy()).unref();
  const way = wayTo(directory, name);
  try {
    // Exclusive: else a worker of node:cluster would have its first process listen.
    server.listen({ path: way.path, exclusive: true });
    await once(server, 'listening');
  } catch {
    // Whatever it is: the lock holds without it, as long as nobody stands still.
    way.close();
    return undefined;
  }
  // As where too many files are open: the system has taken the connection before, and that counts.
  server.on('error', () => {});
  let hasEnded = false;
  return {
    end: (directory) => {
      if (hasEnded) return;
      hasEnded = true;
      server.close();
      rmSync(join(directory, name), { force: true });
      way.close();
    },
  };
}

/** Whether somebody shows life by the socket `name` in `directory`. */
export async function lifeOf(directory: string, name: string): Promise<Life> {
  const way = wayTo(directory, name);
  const socket = connect({ path: way.path });
  try {
    await once(socket, 'connect');
    return 'lives';
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === backlogIsFull) return 'lives';
    return code === 'ECONNREFUSED' ? 'dead' : 'unknown';
  } finally {
    socket.destroy();
    way.close();
  }
}

/** A path that leads there and is not too long for a socket: by way of the open directory if need be. */
function wayTo(directory: string, name: string): { readonly path: string; close(): void } {
  const path = join(directory, name);
  if (Buffer.byteLength(path) <= socketPathBytesMax) return { path, close: () => {} };
  const folder = openSync(directory, 'r');
  return { path: `/proc/self/fd/${folder}/${name}`, close: () => closeSync(folder) };
}
