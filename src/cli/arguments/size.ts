import { InputError } from '../../cluster/input-error.ts';

const unitBytes = { '': 1, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30, TiB: 2 ** 40 } as const;

/**
 * Reads `512MiB`, `1.5GiB` or plain bytes, rounded down. Throws {@link InputError} if it is no size or outside `min` to `max`;
 * `what` names it there.
 */
export function parseSizeBytes(text: string, what: string, min: number, max: number): number {
  const match = /^([0-9]+(?:\.[0-9]+)?)(KiB|MiB|GiB|TiB)?$/.exec(text.trim());
  const unit = (match?.[2] ?? '') as keyof typeof unitBytes;
  const bytes = match === null ? Number.NaN : Math.floor(Number(match[1]) * unitBytes[unit]);
  if (bytes >= min && bytes <= max) return bytes;
  throw new InputError(
    `${what} "${text}" is not a size from ${formatSize(min)} to ${formatSize(max)}: write bytes, or a number with KiB, MiB, GiB or TiB`,
  );
}

function formatSize(bytes: number): string {
  const unit =
    (['TiB', 'GiB', 'MiB', 'KiB'] as const).find((name) => bytes >= unitBytes[name] && bytes % unitBytes[name] === 0) ??
    '';
  return `${bytes / unitBytes[unit]}${unit}`;
}
