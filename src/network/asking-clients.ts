import type { ConnectionId, ReplicaEvent } from '../replica/events.ts';
import type { Replica } from '../replica/replica.ts';
import { type ClientRequest, type ClientResponse, newsId } from '../wire/client-message.ts';
import type { ClientConnection } from './client-connection.ts';
import type { Gateway } from './gateway.ts';

/** A client to which so many bytes wait to be sent gets no more answers to what it asks for, until it has read some. */
const congestedBytes = 8 * 1024 * 1024;

/** The clients that have asked this node for something, by the ids by which its replica knows them. */
export class AskingClients {
  readonly #gateway: Pick<Gateway, 'isTight'>;
  readonly #onEvent: (event: ReplicaEvent) => boolean;
  readonly #connections = new Map<ConnectionId, ClientConnection>();
  /** Of which they have heard, or would have been told at their first request. */
  #toldConfigurationId = 0;

  /** `onEvent` puts into the replica's inbox what they ask for, and who is gone; false if it is full. */
  constructor(gateway: Pick<Gateway, 'isTight'>, onEvent: (event: ReplicaEvent) => boolean) {
    this.#gateway = gateway;
    this.#onEvent = onEvent;
  }

  onRequests(connection: ClientConnection, requests: ClientRequest[]): void {
    this.#connections.set(connection.id, connection);
    if (this.#onEvent({ type: 'requests', connection: connection.id, requests })) return;
    const message = 'the inbox of this node is full: try again, or ask another node';
    connection.send(requests.map(({ id }) => ({ id, type: 'failed', code: 'busy', outcome: 'notApplied', message })));
  }

  /** Of any connection: the replica hears of those alone that asked for something. */
  onClosed({ id }: ClientConnection): void {
    if (this.#connections.delete(id)) this.#onEvent({ type: 'clientGone', connection: id });
  }

  /** Sends each its answers, unless it has gone. */
  answer(responses: ReadonlyMap<ConnectionId, ClientResponse[]>): void {
    for (const [id, answers] of responses) this.#connections.get(id)?.send(answers);
  }

  /** True while a client had better get no more answers: much waits for it to read, or for all together. */
  isCongested(id: ConnectionId): boolean {
    const { bufferedBytes = 0 } = this.#connections.get(id) ?? {};
    return bufferedBytes > congestedBytes || this.#gateway.isTight(bufferedBytes);
  }

  /** Tells them the members, once there are others. To be called now and then. */
  tellMembers(replica: Pick<Replica, 'configurationId' | 'status'>): void {
    const { configurationId } = replica;
    if (configurationId === this.#toldConfigurationId) return;
    this.#toldConfigurationId = configurationId;
    const { members, state } = replica.status();
    const addresses = members.map(({ address }) => address);
    const news = { id: newsId, type: 'members', addresses, isMember: state !== 'standby' } as const;
    for (const connection of this.#connections.values()) connection.send([news]);
  }
}
