import { formatBytes } from '../../base/byte-size.ts';
import type { CatchUpProgress } from './catch-up-meter.ts';

const barWidth = 20;

/** One line for a terminal: who, how far, bytes, rate, time left. */
export function progressBar(progress: CatchUpProgress): string {
  const { newcomers, bytesReceived, bytesTotal, bytesPerSecond, share, secondsLeft } = progress;
  const left = newcomers.filter(({ isComplete }) => !isComplete);
  const bytes =
    bytesTotal === null ? formatBytes(bytesReceived) : `${formatBytes(bytesReceived)} of ${formatBytes(bytesTotal)}`;
  const parts = [
    `${left.length > 1 ? 'nodes' : 'node'} ${left.map(({ id }) => id).join(', ')}: ${stages(progress)}`,
    ...(share === null ? [] : [`[${bar(share)}] ${Math.floor(share * 100)} %`]),
    // A narrow terminal cuts the rest off.
    ...(secondsLeft === null ? [] : [`${formatSeconds(secondsLeft)} left`]),
    bytes,
    `${formatBytes(bytesPerSecond)}/s`,
  ];
  return parts.join('  ');
}

function stages({ newcomers }: CatchUpProgress): string {
  const words = newcomers
    .filter(({ isComplete }) => !isComplete)
    .map(({ state, stage }) => stage ?? (state === null ? 'does not answer' : 'waits'));
  return [...new Set(words)].join(', ');
}

function bar(share: number): string {
  const full = Math.floor(share * barWidth);
  return '#'.repeat(full) + '-'.repeat(barWidth - full);
}

function formatSeconds(seconds: number): string {
  return seconds < 100 ? `${seconds} s` : `${Math.ceil(seconds / 60)} min`;
}
