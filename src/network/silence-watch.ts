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
  bytesRead: number;
  /** Without a byte. */
  silentIntervals: number;
  /** A ping or a pong came since the last look. */
  hasSign: boolean;
  lastHeard: number;
  /** Since the last thing that came whole. */
  intervalsSinceSign: number;
  bytesAtSign: number;
}

/** So many times as long as for a byte it waits for something whole. */
const patienceForWhole = 5;
/** So many bytes an interval are a large frame under way, on a slow link; heartbeats alone are less. */
const bytesUnderWay = 2048;

/**
 * Notices connections whose other end is gone without a word (a host that lost power, a cut network), or is not understood any more.
 *
 * Each interval it pings every connection. One is silent if for several intervals no byte came: bytes are counted, so that a large frame under
 * way is no silence. Or if for many nothing whole did, message, ping or pong, and few bytes: behind a length that came damaged, all that follows
 * is taken for a part of that frame. Intervals are counted, not time, so that a pause of this process makes nobody silent.
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
    const { bytesRead } = tcp;
    const watched: Watched = {
      ...watchable,
      ...{ bytesRead, silentIntervals: 0 },
      ...{ hasSign: false, lastHeard: heard(), intervalsSinceSign: 0, bytesAtSign: bytesRead },
    };
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
      look(watched);
      if (watched.silentIntervals >= this.#silentIntervalsMax || this.#isDeaf(watched)) {
        this.#watched.delete(socket);
        watched.onSilent();
      } else if (socket.readyState === socket.OPEN) {
        socket.ping();
      }
    }
  }

  /** Bytes come, and nothing is made of them. */
  #isDeaf({ intervalsSinceSign, bytesRead, bytesAtSign }: Watched): boolean {
    if (intervalsSinceSign < this.#silentIntervalsMax * patienceForWhole) return false;
    return bytesRead - bytesAtSign < intervalsSinceSign * bytesUnderWay;
  }
}

/** Takes in what came in an interval. */
function look(watched: Watched): void {
  const { bytesRead } = watched.tcp;
  const heard = watched.heard();
  watched.silentIntervals = bytesRead === watched.bytesRead ? watched.silentIntervals + 1 : 0;
  watched.bytesRead = bytesRead;
  if (watched.hasSign || heard !== watched.lastHeard) {
    watched.intervalsSinceSign = 0;
    watched.bytesAtSign = bytesRead;
  } else watched.intervalsSinceSign++;
  watched.hasSign = false;
  watched.lastHeard = heard;
}
