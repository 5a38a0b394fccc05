import { describe, expect, test } from 'vitest';
import {
  canonicalAddress,
  defaultAddress,
  defaultNodeIdMax,
  isLoopback,
  memberAddress,
  parseAddress,
} from '../../src/cluster/address.ts';
import { InputError } from '../../src/cluster/input-error.ts';

describe('parseAddress', () => {
  test.each([
    ['127.0.0.1:7001', '127.0.0.1', 7001],
    ['localhost:1', 'localhost', 1],
    ['Node-1.Example.org:65535', 'node-1.example.org', 65535],
    ['[::1]:7001', '::1', 7001],
    ['[FE80::1]:7001', 'fe80::1', 7001],
  ])('reads %s', (text, host, port) => {
    expect(parseAddress(text)).toEqual({ host, port });
  });

  test.each([
    ['10.0.0.4', 'has no port: write host:port such as 10.0.0.4:7001'],
    ['', 'has no port: write host:port such as 127.0.0.1:7001'],
    ['10.0.0.4:', 'has a bad port: a port is a number from 1 to 65535'],
    ['10.0.0.4:0', 'has a bad port'],
    ['10.0.0.4:65536', 'has a bad port'],
    ['10.0.0.4:7e3', 'has a bad port'],
    ['10.0.0.4: 7001', 'has a bad port'],
    ['10.0.0.256:7001', 'has a bad host'],
    ['10.0.0:7001', 'has a bad host'],
    [':7001', 'has a bad host'],
    ['a b:7001', 'has a bad host'],
    ['-a:7001', 'has a bad host'],
    ['node.1:7001', 'has a bad host'],
    ['node.0xff:7001', 'has a bad host'],
    ['[10.0.0.1]:7001', 'has a bad host'],
    ['::1', 'needs brackets: write [::1]:7001'],
    ['a:b:7001', 'is no host:port'],
    ['http://10.0.0.4:7001/', 'has a scheme: write host:port alone, such as 10.0.0.4:7001'],
  ])('refuses %j', (text, reason) => {
    expect(() => parseAddress(text, 'endpoint')).toThrow(InputError);
    expect(() => parseAddress(text, 'endpoint')).toThrow(`endpoint "${text}" `);
    expect(() => parseAddress(text)).toThrow(reason);
  });

  test.each([
    ...['0.0.0.0:7001', '[::]:7001', '[0::0]:7001', '[0:0:0:0:0:0:0:0]:7001', '[::0.0.0.0]:7001'],
    ...['[::ffff:0.0.0.0]:7001', '[::ffff:0:0]:7001', '[0:0:0:0:0:FFFF:0:0]:7001'],
  ])('no member is at %s', (text) => {
    expect(canonicalAddress(text)).toContain(':7001');
    expect(() => memberAddress(text, 'the address of node 4,')).toThrow(
      `the address of node 4, "${text}" stands for all addresses of a machine`,
    );
  });

  test('one address is written one way', () => {
    expect(canonicalAddress('LocalHost:7001')).toBe('localhost:7001');
    expect(canonicalAddress('[::1]:7001')).toBe('[::1]:7001');
  });

  test.each([
    ['::1', ['0::1', '0:0:0:0:0:0:0:1', '::0001', '::0.0.0.1']],
    ['2001:db8::1:0:0:1', ['2001:DB8:0:0:1::1', '2001:0db8:0000:0000:0001:0000:0000:0001']],
    ['2001:db8:0:1:1:1:1:1', ['2001:db8::1:1:1:1:1']],
    ['::ffff:127.0.0.1', ['::ffff:7f00:1', '::FFFF:7F00:0001', '0:0:0:0:0:ffff:127.0.0.1']],
    ['::ffff:10.0.200.4', ['::ffff:a00:c804']],
    // An IPv4 address that is not mapped, but translated or embedded: of another network.
    ['64:ff9b::a00:4', ['64:ff9b::10.0.0.4']],
    ['::ffff:0:a00:4', ['::ffff:0:10.0.0.4']],
  ])('an IPv6 host, too: [%s]', (one, others) => {
    for (const host of [one, ...others]) expect(canonicalAddress(`[${host}]:7001`)).toBe(`[${one}]:7001`);
  });
});

test('a zone is refused: nothing can be opened by a URL with one', () => {
  for (const host of ['fe80::1%eth0', '::1%lo', 'fe80::1%25']) {
    expect(() => canonicalAddress(`[${host}]:7001`, '--address:')).toThrow(
      `--address: "[${host}]:7001" has a zone, %${host.split('%')[1]}, which means something on one machine only`,
    );
  }
});

test('isLoopback is true for what other machines cannot reach', () => {
  const isLocal = (host: string) => isLoopback(parseAddress(`${host}:7001`).host);
  const local = ['127.0.0.1', '127.9.9.9', 'localhost'];
  const localIPv6 = ['[::1]', '[0::1]', '[0:0:0:0:0:0:0:1]', '[::ffff:127.0.0.1]', '[::ffff:7f00:1]'];
  for (const host of [...local, ...localIPv6]) expect(isLocal(host), host).toBe(true);
  const open = ['0.0.0.0', '10.0.0.1', '127.example.org', 'localhost.example.org'];
  const openIPv6 = ['[::]', '[::2]', '[::7f00:1]', '[::ffff:10.0.0.1]', '[::ffff:8000:1]', '[fe80::1]'];
  for (const host of [...open, ...openIPv6]) expect(isLocal(host), host).toBe(false);
  expect(isLoopback('1127.0.0.1')).toBe(false);
});

test('node N listens on 7000 + N as long as there is such a port', () => {
  expect(defaultAddress(1)).toBe('127.0.0.1:7001');
  expect(defaultAddress(defaultNodeIdMax)).toBe('127.0.0.1:65535');
  expect(defaultAddress(defaultNodeIdMax + 1)).toBeUndefined();
});
