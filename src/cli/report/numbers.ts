/** A count for people: whole, with commas. */
export function count(number: number): string {
  return Math.round(number).toLocaleString('en-US');
}

/** As {@link count}, with what is counted: `countOf(1, 'key')` is "1 key", of 2 "2 keys". */
export function countOf(number: number, noun: string): string {
  return `${count(number)} ${noun}${number === 1 ? '' : 's'}`;
}

/** Milliseconds for people, three digits. */
export function ms(latencyMs: number): string {
  return latencyMs >= 100 ? latencyMs.toFixed(0) : latencyMs.toPrecision(3).slice(0, 4);
}
