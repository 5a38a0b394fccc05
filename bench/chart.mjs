// Draws the throughput of a comparison as bars: one group per workload, each scaled to its own longest bar, since workloads
// differ a hundredfold.
import { count } from './table.mjs';

const width = 760;
const labelWidth = 120;
const valueWidth = 150;
const barHeight = 14;
const barGap = 3;
const groupGap = 14;
const top = 62;
const colors = ['#1f6feb', '#8b949e', '#c9a227', '#6e4c9e'];

/** SVG text. `report`: medians and ratios per workload, as bench:peers makes them. */
export function peersChart(systems, report, caption) {
  const groupHeight = systems.length * (barHeight + barGap) + groupGap;
  const height = top + report.length * groupHeight + 10;
  const groups = report.map((line, at) => group(systems, line, top + at * groupHeight));
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" font-family="sans-serif" font-size="12">`,
    `<rect width="${width}" height="${height}" fill="#ffffff"/>`,
    '<text x="10" y="20" font-size="15" font-weight="bold">Operations a second, three servers, fsync on</text>',
    `<text x="10" y="36" font-size="10" fill="#57606a">${xmlText(caption)}; each group has its own scale</text>`,
    ...systems.map(({ label }, at) => legend(label, at)),
    ...groups,
    '</svg>',
    '',
  ].join('\n');
}

function legend(label, at) {
  const x = labelWidth + at * 110;
  return `<rect x="${x}" y="43" width="10" height="10" fill="${colors[at]}"/><text x="${x + 15}" y="52">${xmlText(label)}</text>`;
}

function group(systems, { workload, medians }, y) {
  const rates = systems.map(({ name }) => medians[name].operationsPerSecond);
  const longest = Math.max(...rates);
  const bars = rates.map((rate, at) => bar(rate, rate / longest, colors[at], y + at * (barHeight + barGap)));
  const middle = y + (systems.length * (barHeight + barGap)) / 2 + 3;
  return [`<text x="${labelWidth - 8}" y="${middle}" text-anchor="end">${xmlText(workload)}</text>`, ...bars].join(
    '\n',
  );
}

function bar(rate, share, color, y) {
  const length = Math.max(1, Math.round(share * (width - labelWidth - valueWidth)));
  const label = `<text x="${labelWidth + length + 6}" y="${y + barHeight - 3}" font-size="11">${count(rate)}</text>`;
  return `<rect x="${labelWidth}" y="${y}" width="${length}" height="${barHeight}" fill="${color}"/>${label}`;
}

function xmlText(text) {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
}
