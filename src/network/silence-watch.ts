import type { Socket } from 'node:net';
import type { WebSocket } from 'ws';

interface Watched {
  readonly tcp: Socket;
  readonly onSilent: () => void;
  bytesRead: number;
  silentIntervals: number;
}

/**
 * Notices connections whose other end is gone without a word (a host that lost power, a cut network).
 *
 * Each interval it pings every connection; one from which no byte came for several intervals is silent. Bytes are counted, not
 * messages, so that a large frame under way is no silence; intervals are counted, not time, so that a pause of this process
 * makes nobody silent.
 */
export class SilenceWatch {
  readonly #watched = new Map<WebSocket, Watched>();
  readonly #silentIntervalsMax: number;
  readonly #timer: NodeJS.Timeout;

  /** `silenceMsMax` is rounded up to whole intervals; it takes up to one more until it is noticed. */
  constructor(intervalMs: number, silenceMsMax: number) {
    this.#silentIntervalsMax = Math.max(1, Math.ceil(silenceMsMax / intervalMs));
    // Connections keep a process running, not the watch over them.
    this.#timer = setInterval(() => this.#check(), intervalMs).unref();
  }

  /** Watches `socket` until it closes. `onSilent` is called once. */
  watch(socket: WebSocket, tcp: Socket, onSilent: () => void): void {
    this.#watched.set(socket, { tcp, onSilent, bytesRead: tcp.bytesRead, silentIntervals: 0 });
    socket.once('close', () => this.#watched.delete(socket));
  }

  close(): void {
    clearInterval(this.#timer);
    this.#watched.clear();
  }

  #check(): void {
    for (const [socket, watched] of this.#watched) {
      const { bytesRead } = watched.tcp;
      watched.silentIntervals = bytesRead === watched.bytesRead ? watched.silentIntervals + 1 : 0;
      watched.bytesRead = bytesRead;
      if (watched.silentIntervals >= this.#silentIntervalsMax) {
        this.#watched.delete(socket);
        watched.onSilent();
      } else if (socket.readyState === socket.OPEN) {
        socket.ping();
      }
    }
  }
}
