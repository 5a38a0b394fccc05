import { expect, it } from 'vitest';
import { limitsFor, openFilesMin } from '../../src/network/gateway.ts';

const MiB = 1024 * 1024;

it('clients get most of the connections that are left, and never more than usual', () => {
  const connectionsFor = (openFiles: number | undefined) => {
    const { connectionsMax, socketsMax } = limitsFor({ openFiles, memoryBytes: undefined });
    return [connectionsMax, socketsMax];
  };
  expect(connectionsFor(undefined)).toEqual([10_000, 11_000]);
  expect(connectionsFor(1_048_576)).toEqual([10_000, 11_000]);
  expect(connectionsFor(1024)).toEqual([814, 896]);
  expect(connectionsFor(openFilesMin)).toEqual([80, 128]);
});

it('in a small memory less is held for clients, and never more than usual', () => {
  const heldFor = (memoryBytes: number | undefined) => limitsFor({ openFiles: undefined, memoryBytes }).heldBytesMax;
  expect(heldFor(undefined)).toBe(256 * MiB);
  expect(heldFor(64 * 1024 * MiB)).toBe(256 * MiB);
  expect(heldFor(512 * MiB)).toBe(128 * MiB);
});
