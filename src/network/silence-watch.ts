import type { Socket } from 'node:net';
import type { WebSocket } from 'ws';

interface Watched {
  readonly tcp: Socket;
  readonly onSilent: () => void;
  /** A ping or a pong came since the last look. */
  hasSign: boolean;
  bytesRead: number;
  silentIntervals: number;
}

/** So many bytes in an interval are a large frame under way. */
const bytesUnderWay = 16 * 1024;

/**
 * Notices connections whose other end is gone without a word (a host that lost power, a cut network), or is not understood any more.
 *
 * Each interval it pings every connection; one from which for several intervals no ping or pong came is silent, unless many bytes did: a
 * large frame under way is no silence. A few bytes are no life: behind a length that came damaged, all that follows is taken for
 * a part of that frame, pings as well. Intervals are counted, not time, so that a pause of this process makes nobody silent.
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
    const watched = { tcp, onSilent, hasSign: true, bytesRead: tcp.bytesRead, silentIntervals: 0 };
    const onSign = () => {
      watched.hasSign = true;
    };
    this.#watched.set(socket, watched);
    socket.on('ping', onSign);
    socket.on('pong', onSign);
    socket.once('close', () => this.#watched.delete(socket));
  }

  close(): void {
    clearInterval(this.#timer);
    this.#watched.clear();
  }

  #check(): void {
    for (const [socket, watched] of this.#watched) {
      const { bytesRead } = watched.tcp;
      const isAlive = watched.hasSign || bytesRead - watched.bytesRead >= bytesUnderWay;
      watched.silentIntervals = isAlive ? 0 : watched.silentIntervals + 1;
      watched.hasSign = false;
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
