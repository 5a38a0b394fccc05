import { execFileSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync, rmSync, statfsSync, symlinkSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ProcessCluster } from './cluster.ts';

/** Why small file systems cannot be had here; undefined if they can. */
export function smallDisksProblem(): string | undefined {
  if (process.getuid?.() !== 0) return 'needs root, to mount a tmpfs';
  const probe = join(tmpdir(), `kv-tmpfs-${process.pid}`);
  try {
    mkdirSync(probe);
    mount(probe, 1);
    execFileSync('umount', [probe], { stdio: 'pipe' });
    return undefined;
  } catch (error) {
    return `needs to mount a tmpfs: ${error instanceof Error ? error.message.split('\n')[0] : error}`;
  } finally {
    rmSync(probe, { recursive: true, force: true });
  }
}

/** A file system of its own for the data directory of each node, with room beside it for somebody else. */
export class SmallDisks {
  readonly #cluster: ProcessCluster;
  readonly #mounted: string[] = [];

  constructor(cluster: ProcessCluster) {
    this.#cluster = cluster;
  }

  make(id: number, mebibytes: number): void {
    const disk = this.#path(id);
    mkdirSync(disk);
    mount(disk, mebibytes);
    this.#mounted.push(disk);
    mkdirSync(join(disk, 'data'));
    symlinkSync(join(disk, 'data'), this.#cluster.dataDirectory(id));
  }

  /** Somebody else takes what is free, to the last byte. */
  fill(id: number): void {
    const file = openSync(this.#hog(id), 'a');
    const bytes = Buffer.alloc(1024 * 1024, 0xee);
    try {
      for (let size = bytes.length; size > 0; ) {
        try {
          writeSync(file, bytes, 0, size);
        } catch (error) {
          if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
          size = Math.floor(size / 2);
        }
      }
    } finally {
      closeSync(file);
    }
  }

  /** … and gives it back. */
  free(id: number): void {
    rmSync(this.#hog(id), { force: true });
  }

  freeBytes(id: number): number {
    const { bavail, bsize } = statfsSync(this.#path(id));
    return bavail * bsize;
  }

  /** Call before the directory of the cluster is removed; nodes may still run. */
  remove(): void {
    for (const disk of this.#mounted.splice(0)) execFileSync('umount', ['-l', disk], { stdio: 'pipe' });
  }

  #path(id: number): string {
    return join(this.#cluster.directory, `disk-${id}`);
  }

  #hog(id: number): string {
    return join(this.#path(id), 'somebody-else');
  }
}

/** Mounts a file system of its own at `path`; `umount -l` takes it away. */
export function mount(path: string, mebibytes: number): void {
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${mebibytes}m`, 'tmpfs', path], { stdio: 'pipe' });
}
