import { isIPv4, isIPv6 } from 'node:net';
import type { NodeId } from '../omnipaxos/ballot.ts';
import { InputError } from './input-error.ts';

/** Where a node listens. IPv6 hosts are held without brackets, and written one way (RFC 5952). */
export interface Address {
  readonly host: string;
  readonly port: number;
}

const portMax = 65_535;
const defaultPortBase = 7000;

/** Highest node id that has a default address: its port would be over 65535 otherwise. */
export const defaultNodeIdMax: NodeId = portMax - defaultPortBase;

/**
 * Splits "host:port" (IPv6 in brackets: "[::1]:7001"). Throws {@link InputError}; `what` names the text in it. A zone ("fe80::1%eth0") is refused: it
 * names an interface of one machine, where addresses are the same for all, and nothing can be opened by a URL with one.
 */
export function parseAddress(text: string, what = 'address'): Address {
  const problem = (reason: string) => new InputError(`${what} "${text}" ${reason}`);
  if (text.includes('://')) throw problem(`has a scheme: write host:port alone, such as ${withoutScheme(text)}`);
  const match = /^(?:\[([^\]]*)\]|([^:[\]]*)):([^:]*)$/.exec(text);
  if (match === null) throw problem(shapeProblem(text));
  const host = (match[1] ?? match[2] ?? '').toLowerCase();
  const port = parsePort(match[3] ?? '');
  if (port === undefined) throw problem(`has a bad port: a port is a number from 1 to ${portMax}`);
  const isBracketed = match[1] !== undefined;
  const [, zone] = host.split('%');
  if (isBracketed && zone !== undefined && isIPv6(host))
    throw problem(
      `has a zone, %${zone}, which means something on one machine only: give an address that others reach as well, or a name`,
    );
  if (isBracketed ? !isIPv6(host) : !isHost(host))
    throw problem('has a bad host: write host:port such as 10.0.0.4:7004');
  return { host: isBracketed ? oneFormOf(host) : host, port };
}

/** "host:port", with brackets around an IPv6 host. */
function formatAddress(address: Address): string {
  return address.host.includes(':') ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}

/** The one way to write this address, so that equal addresses are equal strings. Throws {@link InputError}. */
export function canonicalAddress(text: string, what?: string): string {
  return formatAddress(parseAddress(text, what));
}

/** As {@link canonicalAddress} of a node that others are to reach: not one that only stands for all addresses of a machine. */
export function memberAddress(text: string, what?: string): string {
  const address = parseAddress(text, what);
  if (!isWildcard(address.host)) return formatAddress(address);
  throw new InputError(
    `${what ?? 'address'} "${text}" stands for all addresses of a machine: give the one at which other nodes reach it`,
  );
}

/**
 * True if the host, as {@link parseAddress} gives it, stands for all addresses of a machine: one listens there, and nobody reaches it
 * from elsewhere.
 */
export function isWildcard(host: string): boolean {
  return host === '0.0.0.0' || host === '::ffff:0.0.0.0' || host === '::';
}

/** True if the host, as {@link parseAddress} gives it, cannot be reached from another machine. */
export function isLoopback(host: string): boolean {
  if (host === 'localhost' || host === '::1') return true;
  const address = host.startsWith('::ffff:') ? host.slice('::ffff:'.length) : host;
  return isIPv4(address) && address.startsWith('127.');
}

/** Where node `nodeId` listens if nothing else is said: 127.0.0.1, port 7000 + id; `undefined` for ids past the ports. */
export function defaultAddress(nodeId: NodeId): string | undefined {
  return nodeId <= defaultNodeIdMax ? `127.0.0.1:${defaultPortBase + nodeId}` : undefined;
}

function shapeProblem(text: string): string {
  const withPort = /^(.*[^:]):([0-9]{4,5})$/.exec(text);
  if (withPort?.[1] !== undefined && isIPv6(withPort[1])) {
    return `has an IPv6 host without brackets: write [${withPort[1]}]:${withPort[2]}`;
  }
  if (isIPv6(text)) return `has no port, and an IPv6 host needs brackets: write [${text}]:7001`;
  if (!text.includes(':')) return `has no port: write host:port such as ${text === '' ? '127.0.0.1' : text}:7001`;
  return 'is no host:port: write 10.0.0.4:7004, or [::1]:7004 for IPv6';
}

function withoutScheme(text: string): string {
  const rest = text.slice(text.indexOf('://') + 3).replace(/\/.*$/, '');
  return rest.includes(':') ? rest : '127.0.0.1:7001';
}

function parsePort(text: string): number | undefined {
  if (!/^[1-9][0-9]{0,4}$/.test(text)) return undefined;
  const port = Number(text);
  return port <= portMax ? port : undefined;
}

/** The one way to write an IPv6 host, as URLs have it. */
function oneFormOf(host: string): string {
  const { hostname } = new URL(`http://[${host}]`);
  return withDottedIPv4(hostname.slice(1, -1));
}

/** "::ffff:7f00:1" → "::ffff:127.0.0.1": an IPv4 address that is mapped is to be seen as such. */
function withDottedIPv4(host: string): string {
  const mapped = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(host);
  if (mapped === null) return host;
  const bytes = mapped.slice(1).flatMap((part) => [Number.parseInt(part, 16) >> 8, Number.parseInt(part, 16) & 0xff]);
  return `::ffff:${bytes.join('.')}`;
}

/** WebSockets are opened by URL, where a name whose last part is a number is none, and some others are not allowed. */
function isSameInUrl(host: string): boolean {
  const url = `http://${host}`;
  return URL.canParse(url) && new URL(url).hostname === host;
}

function isHost(host: string): boolean {
  if (/^[0-9.]*$/.test(host)) return isIPv4(host);
  if (host.length > 253) return false;
  const isName = host.split('.').every((label) => /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/.test(label));
  return isName && isSameInUrl(host);
}
