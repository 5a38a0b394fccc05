import { createServer } from 'node:net';

/** Somebody else listens at the address already. */
export class AddressInUseError extends Error {
  override readonly name = 'AddressInUseError';
  readonly code = 'addressInUse';
}

/** The address cannot be listened at: it is not of this machine, or not allowed. */
export class CannotListenError extends Error {
  override readonly name = 'CannotListenError';
  readonly code = 'cannotListen';
}

/** What to throw where listening failed. */
export function listenError(error: NodeJS.ErrnoException, host: string, port: number): Error {
  const address = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
  if (error.code === 'EADDRINUSE') {
    return new AddressInUseError(
      `${address} is in use: is this node running already? Stop what listens there, or give the node another address`,
      { cause: error },
    );
  }
  return new CannotListenError(`cannot listen at ${address} (${error.message}): give an address of this machine`, {
    cause: error,
  });
}

/** Resolves if one can listen there now, and lets go of it. Rejects with {@link AddressInUseError} or {@link CannotListenError}. */
export function tryListening({ host, port }: { readonly host: string; readonly port: number }): Promise<void> {
  const server = createServer();
  return new Promise((resolve, reject) => {
    server.once('error', (error) => reject(listenError(error, host, port)));
    server.listen(port, host, () => server.close(() => resolve()));
  });
}
