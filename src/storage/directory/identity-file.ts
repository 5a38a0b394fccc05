import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { NodeId } from '../../omnipaxos/ballot.ts';
import { DataDirectoryError } from '../disk/data-directory-error.ts';
import { syncDirectory, writeFileDurably } from '../disk/durable-file.ts';
import { openSealedText, sealText } from '../disk/sealed-text.ts';
import { onDisk } from '../disk/storage-error.ts';

/*
 * The file that says whose a data directory is (sealed-text.ts):
 *
 *   omnikv data format 2
 *   node 3 storage 00112233aabbccdd of "default"
 *   crc32 89abcdef
 */

/**
 * Format of the data directory. A change that older versions cannot read, or would make something else of, adds one. 2: transactions, which are no commands
 * to a version that does not know them: it would pass over those in the log.
 */
const dataFormat = 2;

const fileName = 'identity';
const formatLine = /^omnikv data format (\d+)\n/;
const wholeBody = /^omnikv data format \d+\nnode (\d+) storage ([0-9a-f]{16}) of (".*")\n$/;

/** There while a new directory is being made: until the identity is written, nothing in it counts. */
const creatingName = 'creating';

/** Names in a data directory that do not exist without an identity. */
const dataNames = ['log', 'state'];

/** Whatever may be in a data directory, or in one that was just made, or is where a file system was mounted. */
const ownNames =
  /^(\..*|lost\+found|lock-.*|(identity|creating|closed|origin|older-copy|seeding|reserve)(\.new)?|log|state|trial)$/;
const ownDataNames = /^(\..*|\d{20}\.wal(\.new)?|data\.mdb|lock\.mdb|trial)$/;

/** What the identity file says. */
export interface DirectoryIdentity {
  readonly nodeId: NodeId;
  readonly storageId: string;
  /** Name of the cluster that it was made for. */
  readonly clusterName: string;
}

/** Who wants to use a directory. */
export type DirectoryUser = Omit<DirectoryIdentity, 'storageId'>;

/**
 * Reads the identity of directory `path` and checks that `user` may use it; `undefined` if the directory is new.
 * Throws a {@link DataDirectoryError}: `newerFormat`, `otherNode`, `otherCluster` or `damaged`.
 */
export function readIdentity(path: string, { nodeId, clusterName }: DirectoryUser): DirectoryIdentity | undefined {
  const file = join(path, fileName);
  if (!existsSync(file)) {
    if (existsSync(join(path, creatingName))) return undefined;
    refuseForeign(path);
    const data = dataNames.find((name) => existsSync(join(path, name)));
    if (data === undefined) return undefined;
    throw damaged(`${path} is damaged: it has data ('${data}') but no file '${fileName}'`);
  }
  const identity = readFile(path);
  checkUser(path, identity, { nodeId, clusterName });
  return identity;
}

/** What the identity file of `path` says, whoever asks; `undefined` if there is none. Throws as {@link readIdentity} does. */
export function inspectIdentity(path: string): DirectoryIdentity | undefined {
  return existsSync(join(path, fileName)) ? readFile(path) : undefined;
}

/** Refuses what is no data directory, with code `notWritable`: nothing of one is there, not even what a crash left while it was being made. */
export function assertDataDirectory(path: string): void {
  if (existsSync(path) && statSync(path).isDirectory() && hasData(path)) return;
  throw new DataDirectoryError('notWritable', `${path} is no data directory: give the path that kv start prints`);
}

/** True if `path` holds data, or what a crash left while it was being made. */
export function hasData(path: string): boolean {
  return [fileName, creatingName, ...dataNames].some((name) => existsSync(join(path, name)));
}

/** True if there is no data at `path`, nor ever was: what a crash left while it was being made does not count. */
export function holdsNothing(path: string): boolean {
  return !existsSync(join(path, fileName)) && (existsSync(join(path, creatingName)) || !hasData(path));
}

/** Refuses a directory without an identity in which something is that no node put there: it is somebody else's. */
function refuseForeign(path: string): void {
  const found = namesIn(path).find((name) => !ownNames.test(name)) ?? foreignIn(path);
  if (found === undefined) return;
  throw new DataDirectoryError(
    'notEmpty',
    `${path} is no data directory, and not empty ('${found}' is in it): give another one, which is made if it is absent`,
  );
}

/** Other programs have folders of these names, too. */
function foreignIn(path: string): string | undefined {
  for (const folder of dataNames) {
    const name = namesIn(join(path, folder)).find((each) => !ownDataNames.test(each));
    if (name !== undefined) return join(folder, name);
  }
  return undefined;
}

function namesIn(folder: string): string[] {
  return existsSync(folder) ? readdirSync(folder) : [];
}

function checkUser(path: string, identity: DirectoryIdentity, { nodeId, clusterName }: DirectoryUser): void {
  if (identity.nodeId !== nodeId) {
    throw new DataDirectoryError(
      'otherNode',
      `data directory ${path} belongs to node ${identity.nodeId}, not ${nodeId}: start node ${identity.nodeId} on it, or node ${nodeId} on another`,
    );
  }
  if (identity.clusterName !== clusterName) {
    throw new DataDirectoryError(
      'otherCluster',
      `data directory ${path} belongs to cluster "${identity.clusterName}", not "${clusterName}": start that cluster on it, or this one on another`,
    );
  }
}

/** The identity of directory `path`, whoever wants to know. Throws a {@link DataDirectoryError}: `newerFormat` or `damaged`. */
export function readOwnIdentity(path: string): DirectoryIdentity {
  const identity = inspectIdentity(path);
  if (identity !== undefined) return identity;
  throw new DataDirectoryError('damaged', `${path} is damaged: it has no file '${fileName}'`);
}

/** Begins to make a new directory, dropping what an earlier attempt left, and gives the identity it is to have. */
export function beginCreation(path: string, user: DirectoryUser): DirectoryIdentity {
  writeFileDurably(path, creatingName, '');
  for (const name of dataNames) rmSync(join(path, name), { recursive: true, force: true });
  return { ...user, storageId: randomBytes(8).toString('hex') };
}

/** Takes the identity away, durably: the directory is being made again. */
export function removeIdentity(path: string): void {
  rmSync(join(path, fileName), { force: true });
  syncDirectory(path);
}

/** Writes the identity durably, once everything else is there: from now on the directory counts. */
export function finishCreation(path: string, identity: DirectoryIdentity): void {
  for (const name of dataNames) syncDirectory(join(path, name));
  writeIdentity(path, identity);
  rmSync(join(path, creatingName), { force: true });
}

/** Makes a directory of an older format one of this, durably, before anything is written that an older version would not know. */
export function renewFormat(path: string): void {
  const file = join(path, fileName);
  const text = onDisk(file, 'read', () => readFileSync(file, 'utf8'));
  if (formatOf(text) < dataFormat) writeIdentity(path, parseIdentity(path, text));
}

function writeIdentity(path: string, { nodeId, storageId, clusterName }: DirectoryIdentity): void {
  const text = `omnikv data format ${dataFormat}\nnode ${nodeId} storage ${storageId} of ${JSON.stringify(clusterName)}\n`;
  writeFileDurably(path, fileName, sealText(text));
}

function formatOf(text: string): number {
  return Number(formatLine.exec(text)?.[1]);
}

function readFile(path: string): DirectoryIdentity {
  const file = join(path, fileName);
  return parseIdentity(
    path,
    onDisk(file, 'read', () => readFileSync(file, 'utf8')),
  );
}

function parseIdentity(path: string, text: string): DirectoryIdentity {
  const { body, isIntact } = openSealedText(text);
  const match = wholeBody.exec(body);
  const format = formatOf(text);
  // Of a newer format only the first line is known; one that looks like this format and has another checksum is damaged.
  if (format > dataFormat && (isIntact || match === null)) {
    throw new DataDirectoryError(
      'newerFormat',
      `data directory ${path} has format ${format}, this version knows formats up to ${dataFormat}: use the version that wrote it, or a newer one`,
    );
  }
  if (!isIntact || match === null) throw damaged(`${join(path, fileName)} is damaged: it is not as it was written`);
  return {
    nodeId: Number(match[1]),
    storageId: match[2] as string,
    clusterName: JSON.parse(match[3] as string) as string,
  };
}

function damaged(message: string): DataDirectoryError {
  return new DataDirectoryError('damaged', message);
}
