import { escapeBytes } from '../output.ts';

/** How much a line of the log matters, least first. */
export const logLevels = ['debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof logLevels)[number];

/**
 * One line of a node's log: `2026-01-31T12:00:00.000Z info  node 1: peer connected node=2 address=127.0.0.1:7002`. What came
 * from outside cannot break the line or upset a terminal; a value with spaces is quoted.
 */
export function formatLogLine(
  at: Date,
  nodeId: number,
  level: LogLevel,
  message: string,
  fields: Readonly<Record<string, unknown>> = {},
): string {
  const parts = Object.entries(fields).flatMap(([name, value]) =>
    value === undefined ? [] : [`${name}=${fieldText(value)}`],
  );
  return [at.toISOString(), level.padEnd(5), `node ${nodeId}:`, escaped(message), ...parts].join(' ');
}

function fieldText(value: unknown): string {
  const text = escaped(typeof value === 'object' ? JSON.stringify(value) : String(value));
  return /[\s"=]/.test(text) || text === '' ? `"${text.replaceAll('"', '\\"')}"` : text;
}

function escaped(text: string): string {
  return escapeBytes(Buffer.from(text, 'utf8'));
}
