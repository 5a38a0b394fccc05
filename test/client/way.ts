import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

export interface WayLimits {
  /** Each way. */
  readonly delayMs?: number;
  /** To the node. */
  readonly bytesPerMs?: number;
  readonly bytesPerMsBack?: number;
}

/** What is between a client and a node: it may be long, slow, and swallow what goes over it. */
export class Way {
  readonly #server: Server;
  readonly #ends = new Set<readonly [Socket, Socket]>();
  #port = 0;
  connectionCount = 0;

  private constructor(address: string, { delayMs = 0, bytesPerMs = Infinity, bytesPerMsBack = Infinity }: WayLimits) {
    const [host, port] = address.split(':') as [string, string];
    this.#server = createServer((near) => {
      this.connectionCount++;
      const far = connect(Number(port), host);
      const ends = [near, far] as const;
      this.#ends.add(ends);
      this.#carry(ends, near, far, delayMs, bytesPerMs);
      this.#carry(ends, far, near, delayMs, bytesPerMsBack);
    });
  }

  static async to(address: string, limits: WayLimits = {}) {
    const way = new Way(address, limits);
    await new Promise<void>((resolve) => way.#server.listen(0, '127.0.0.1', resolve));
    way.#port = (way.#server.address() as AddressInfo).port;
    return way;
  }

  get address(): string {
    return `127.0.0.1:${this.#port}`;
  }

  /** The connections that stand swallow what goes over them from now on, without a word to either end. New ones do not. */
  break(): void {
    this.#ends.clear();
  }

  close(): void {
    this.#server.close();
    for (const socket of [...this.#ends].flat()) socket.destroy();
  }

  #carry(ends: readonly [Socket, Socket], from: Socket, to: Socket, delayMs: number, bytesPerMs: number): void {
    let freeMs = 0;
    from.on('data', (bytes) => {
      const nowMs = performance.now();
      freeMs = Math.max(freeMs, nowMs) + bytes.length / bytesPerMs;
      // No more is taken than gets through.
      if (bytesPerMs < Infinity) {
        from.pause();
        setTimeout(() => from.resume(), freeMs - nowMs);
      }
      setTimeout(() => this.#ends.has(ends) && to.write(bytes), freeMs - nowMs + delayMs);
    });
    from.on('close', () => this.#ends.has(ends) && to.destroy());
    // The other end learns of it by the close.
    from.on('error', () => {});
  }
}
