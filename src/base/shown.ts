/** A value that is not right, as a message names it: whatever it is, and never what a text would look like that is none. */
export function shown(value: unknown): string {
  if (typeof value === 'string') return value === '' ? 'empty' : `${JSON.stringify(value)}, a text`;
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object' && value !== null) return 'an object';
  return typeof value === 'function' ? 'a function' : String(value);
}
