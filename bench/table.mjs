// Numbers and tables, in Markdown, so that what a run prints can be pasted into docs.
import { cpus, loadavg, totalmem } from 'node:os';

export function count(number) {
  return Math.round(number).toLocaleString('en-US');
}

/** Three digits. */
export function short(number) {
  return number >= 100 ? number.toFixed(0) : number.toPrecision(3).slice(0, 4).replace(/\.$/, '');
}

/** Columns padded, so that it reads as text too; the first is aligned left. */
export function markdownTable([head, ...rows]) {
  const widths = head.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column].length), 3));
  const line = (row) =>
    `| ${row.map((cell, at) => (at === 0 ? cell.padEnd(widths[at]) : cell.padStart(widths[at]))).join(' | ')} |`;
  const rule = `|${widths.map((width, at) => (at === 0 ? '-'.repeat(width + 2) : `${'-'.repeat(width + 1)}:`)).join('|')}|`;
  return [line(head), rule, ...rows.map(line)].join('\n');
}

/** Date and machine, in one line. */
export function surroundings() {
  const [cpu] = cpus();
  const gib = Math.round(totalmem() / 2 ** 30);
  const load = loadavg().map((value) => value.toFixed(1));
  const date = new Date().toISOString().slice(0, 16).replace('T', ' ');
  return `${date} UTC; ${cpus().length} cores (${cpu.model}), ${gib} GiB; Node ${process.versions.node}; load average ${load.join(' ')}`;
}
