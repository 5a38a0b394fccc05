import type { Socket } from 'node:net';
import type { WebSocket } from 'ws';

/** A connection that is watched. */
export interface Watchable {
  readonly socket: WebSocket;
  readonly tcp: Socket;
  /** Another number with each message that comes. */
  readonly heard: () => number;
  /** Called once. */
  readonly onSilent: () => void;
}

interface Watched extends Watchable {
  /** A ping or a pong came since the last look. */
  hasSign: boolean;
  lastHeard: number;
  /** Bytes read when there was a sign last. */
  bytesAtSign: number;
  silentIntervals: number;
}

/** So many bytes since the last sign are a large frame under way: by 64 kbit/s, where four intervals are two seconds. */
const bytesUnderWay = 16 * 1024;

/**
 * Notices connections whose other end is gone without a word (a host that lost power, a cut network), or is not understood any more.
 *
 * Each interval it pings every connection; one from which for several intervals nothing whole came, message, ping or pong, is silent, unless many
 * bytes did: a large frame under way is no silence. A few bytes are no life: behind a length that came damaged, all that follows is taken
 * for a part of that frame, pings as well. Intervals are counted, not time, so that a pause of this process makes nobody silent.
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

  /** Watches a connection until it closes. */
  watch(watchable: Watchable): void {
    const { socket, tcp, heard } = watchable;
    const watched = { ...watchable, hasSign: true, lastHeard: heard(), bytesAtSign: tcp.bytesRead, silentIntervals: 0 };
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
      if (takeSign(watched)) watched.silentIntervals = 0;
      else watched.silentIntervals++;
      if (watched.silentIntervals >= this.#silentIntervalsMax) {
        this.#watched.delete(socket);
        watched.onSilent();
      } else if (socket.readyState === socket.OPEN) {
        socket.ping();
      }
    }
  }
}

/** True if there was one since the last look. */
function takeSign(watched: Watched): boolean {
  const { bytesRead } = watched.tcp;
  const heard = watched.heard();
  const isSign = watched.hasSign || heard !== watched.lastHeard || bytesRead - watched.bytesAtSign >= bytesUnderWay;
  if (isSign) watched.bytesAtSign = bytesRead;
  watched.hasSign = false;
  watched.lastHeard = heard;
  return isSign;
}
