import type { RawData, WebSocket } from 'ws';
import { fragmentsPerFrameMax } from '../wire/limits.ts';

/** Options of every WebSocket here, on both ends. ws sets TCP_NODELAY by itself. */
export function socketOptions(frameBytesMax: number) {
  return {
    // Values are opaque and often compressed already; deflate costs far more than it saves on a local network.
    perMessageDeflate: false,
    maxPayload: frameBytesMax,
    // Clients send large frames so: each fragment that has come is answered with a sign.
    maxFragments: fragmentsPerFrameMax,
    // Behind a large frame on a slow link pongs wait for as long as that takes: at the usual 60, and two pings a second, ws ends it after half a minute.
    maxPendingAutoPongs: 1024,
  } as const;
}

/**
 * Given with each frame, so that all take the same way through ws: a way of their own for a few makes V8 compile that of the others anew. What is given
 * behind them is called once the kernel has the frame, or the connection is gone.
 */
export const sendOptions = {};

/** Why a connection was closed, as the other end is told. Codes from 4000 on are the application's own. */
export const closeCodes = {
  shuttingDown: 1001,
  malformed: 4000,
  refused: 4001,
  duplicate: 4002,
  /** The other end's data directory is an older copy: it must end. */
  olderCopy: 4003,
} as const;

/** With that code the reason begins so: the code alone is one wrong bit away from others. */
export const olderCopyMark = 'older copy: ';

const closeGraceMs = 1000;
/** What a close frame can hold. */
const closeReasonBytesMax = 123;

/** Says why and closes; cuts the connection if the other end does not follow soon. */
export function closeWithReason(socket: WebSocket, code: number, reason: string): void {
  const ascii = reason.replace(/[^\x20-\x7e]/g, '?').slice(0, closeReasonBytesMax);
  socket.close(code, ascii);
  const timer = setTimeout(() => socket.terminate(), closeGraceMs);
  socket.once('close', () => clearTimeout(timer));
}

/** The bytes of a binary message as a plain Uint8Array, without a copy. */
export function bytesOf(data: RawData): Uint8Array {
  // Always so with the binaryType that these sockets have, 'nodebuffer'.
  const buffer = data as Buffer;
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.length);
}

/** Short reason of a socket's error, such as ECONNREFUSED. */
export function reasonOf(error: Error): string {
  const code = (error as NodeJS.ErrnoException).code;
  return error.message === '' ? (code ?? error.name) : error.message;
}
