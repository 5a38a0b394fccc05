// Draws puts over time, one panel for each replacement: what clients notice of it.
const width = 760;
const panelHeight = 190;
const left = 64;
const right = 14;
const top = 48;
const plotHeight = 130;

/** SVG text. `results`: as `measureReplacement` gives them, with a title. */
export function seriesChart(results, caption) {
  const height = top + results.length * panelHeight + 6;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" font-family="sans-serif" font-size="11">`,
    `<rect width="${width}" height="${height}" fill="#ffffff"/>`,
    '<text x="10" y="20" font-size="15" font-weight="bold">Puts a second while members are replaced</text>',
    `<text x="10" y="36" font-size="10" fill="#57606a">${xmlText(caption)}; windows of half a second</text>`,
    ...results.map((result, at) => panel(result, top + at * panelHeight)),
    '</svg>',
    '',
  ].join('\n');
}

function panel(result, y) {
  const { windows, beganMs, askedMs, completeMs, putsPerSecondBefore } = result;
  const first = windows[0].second;
  const last = windows.at(-1).second + 0.5;
  const highest = Math.max(...windows.map(({ putsPerSecond }) => putsPerSecond));
  const bottom = y + 20 + plotHeight;
  const x = (second) => round(left + ((second - first) / (last - first)) * (width - left - right));
  const height = (rate) => round(bottom - (rate / highest) * plotHeight);
  const steps = windows.flatMap(({ second, putsPerSecond }) => {
    return [second, second + 0.5].map((at) => `${x(at)},${height(putsPerSecond)}`);
  });
  const level = (rate, label) => {
    const line = `<line x1="${left}" x2="${width - right}" y1="${height(rate)}" y2="${height(rate)}" stroke="#d0d7de" stroke-dasharray="4 3"/>`;
    return `${line}<text x="${left - 6}" y="${height(rate) + 4}" text-anchor="end" fill="#57606a">${label}</text>`;
  };
  const moment = (atMs, label, anchor) => {
    const at = x((atMs - beganMs) / 1000);
    const line = `<line x1="${at}" x2="${at}" y1="${y + 20}" y2="${bottom}" stroke="#c9a227"/>`;
    return `${line}<text x="${at + (anchor === 'end' ? -3 : 3)}" y="${bottom - 5}" text-anchor="${anchor}" fill="#7d6608">${label}</text>`;
  };
  const ticks = [];
  for (
    let second = Math.ceil(first / 5) * 5;
    second <= last;
    second += Math.max(5, Math.ceil((last - first) / 60) * 5)
  ) {
    ticks.push(`<text x="${x(second)}" y="${bottom + 13}" text-anchor="middle" fill="#57606a">${second} s</text>`);
  }
  return [
    `<text x="10" y="${y + 12}" font-weight="bold">${xmlText(result.title)}</text>`,
    level(putsPerSecondBefore, Math.round(putsPerSecondBefore)),
    level(putsPerSecondBefore * 0.8, '80 %'),
    `<line x1="${left}" x2="${width - right}" y1="${bottom}" y2="${bottom}" stroke="#57606a"/>`,
    moment(askedMs, 'asked', 'end'),
    moment(completeMs, 'complete', 'start'),
    `<polyline points="${steps.join(' ')}" fill="none" stroke="#1f6feb" stroke-width="1.5"/>`,
    ...ticks,
  ].join('\n');
}

function round(number) {
  return Math.round(number * 10) / 10;
}

function xmlText(text) {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
}
