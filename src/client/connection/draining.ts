import type { Connection } from './connection.ts';

/** Connections left behind whose last answers may still come. */
const drainingMax = 4;

/** Connections on which nothing more is sent: each stays open until its last calls have their answers. */
export class Draining {
  readonly #connections = new Set<Connection>();

  get size(): number {
    return this.#connections.size;
  }

  [Symbol.iterator](): Iterator<Connection> {
    return this.#connections.values();
  }

  /** Takes one more. The one that has to be cut for it, as there are too many. */
  add(connection: Connection): Connection | undefined {
    connection.leftMs = performance.now();
    this.#connections.add(connection);
    const [oldest] = this.#connections;
    return this.#connections.size > drainingMax ? oldest : undefined;
  }

  /** True if it was one of these. */
  delete(connection: Connection): boolean {
    return this.#connections.delete(connection);
  }

  closeIfDrained(connection: Connection): void {
    if (connection.sent.size > 0 || !this.#connections.delete(connection)) return;
    void connection.close();
  }

  closeDrained(): void {
    for (const connection of this.#connections) this.closeIfDrained(connection);
  }
}
