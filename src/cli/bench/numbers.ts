/** A count for people: whole, with commas. */
export function count(number: number): string {
  return Math.round(number).toLocaleString('en-US');
}

/** Milliseconds for people, three digits. */
export function ms(latencyMs: number): string {
  return latencyMs >= 100 ? latencyMs.toFixed(0) : latencyMs.toPrecision(3).slice(0, 4);
}
