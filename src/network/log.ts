/** Where this room's log lines go: one line each, `message` fixed text, `fields` what varies. */
export type Log = (
  level: 'debug' | 'info' | 'warn' | 'error',
  message: string,
  fields?: Readonly<Record<string, unknown>>,
) => void;
