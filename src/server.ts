import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import { crc32 } from 'node:zlib';
import { usePlatformByteStrings } from './base/bytes.ts';
import { usePlatformCrc32 } from './base/crc32.ts';
import { canonicalAddress, parseAddress } from './cluster/address.ts';
import { InputError } from './cluster/input-error.ts';
import { checkNodeOptions } from './cluster/node-options.ts';
import { openFilesMax } from './host/open-files.ts';
import type { OwnProcess } from './host/own-process.ts';
import { openFilesMin } from './network/gateway.ts';
import { tryListening } from './network/listening.ts';
import { runNode } from './node/node.ts';
import type { NodeOptions, RunningNode } from './node/node-options.ts';
import { openDataDirectory } from './storage/directory/data-directory.ts';
import { holdsNothing } from './storage/directory/identity-file.ts';
import { absentError } from './storage/disk/data-directory-error.ts';
import { checkNodeTls } from './tls/node-identity.ts';

usePlatformCrc32(crc32);
usePlatformByteStrings(Buffer.prototype.latin1Slice);

export type { NodeOptions, RunningNode } from './node/node-options.ts';
export { setAsideBeside, setAsideIfDamaged } from './storage/directory/set-aside.ts';
export { verifyDirectory } from './storage/directory/verify.ts';

/**
 * Starts a node: opens its directory, recovers, listens, and finds its peers. Rejects with an InputError (options), a
 * DataDirectoryError, an AddressInUseError or a CannotListenError, whose messages say what to do.
 */
export async function startNode(options: NodeOptions): Promise<RunningNode> {
  return startNodeIn(undefined, options);
}

/**
 * The same, where `ownProcess` does nothing but run the node. Where processors are short, the whole of it then steps behind others
 * while the node stands by, and so while it is filled to become a member; and its heap may grow as suits the one and the other.
 */
export async function startNodeIn(ownProcess: OwnProcess | undefined, given: NodeOptions): Promise<RunningNode> {
  checkNodeOptions(given);
  checkOpenFiles();
  const options = settledOptions(given);
  if (options.tls !== undefined) checkNodeTls(options.tls);
  if (holdsNothing(options.dataDirectory)) {
    // What is no directory is told by the opening.
    const isFile = statSync(options.dataDirectory, { throwIfNoEntry: false })?.isFile() === true;
    if (options.existing === true && !isFile) throw absentError(options.dataDirectory);
    // No directory is made for a node that cannot run.
    await tryListening(parseAddress(options.address));
  }
  const directory = await openDataDirectory({
    path: options.dataDirectory,
    nodeId: options.nodeId,
    clusterName: options.clusterName,
    ...(options.settings?.quotaBytes !== undefined && { quotaBytes: options.settings.quotaBytes }),
  });
  return runNode(options, directory, ownProcess);
}

function checkOpenFiles(): void {
  const max = openFilesMax();
  if (max === undefined || max >= openFilesMin) return;
  const what = `this process may have ${max} files and sockets open, and a node needs ${openFilesMin}`;
  throw new InputError(`${what}: raise the limit, as by ulimit -n 1024, or LimitNOFILE=1024 in a unit of systemd`);
}

/** The process may change its directory meanwhile, and its owner the object. Addresses are compared as texts: each is written the one way. */
function settledOptions(given: NodeOptions): NodeOptions {
  const nodes = new Map([...given.nodes].map(([id, address]) => [id, canonicalAddress(address)]));
  const address = canonicalAddress(given.address);
  return { ...given, nodes, address, dataDirectory: resolve(given.dataDirectory) };
}
