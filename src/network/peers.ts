import type { IncomingMessage } from 'node:http';
import type { WebSocket } from 'ws';
import type { PeerOutput, Refusal, ReplicaEvent } from '../replica/events.ts';
import type { PeerHello } from '../wire/peer-message.ts';
import type { Log } from './log.ts';
import { type PeerHandle, PeerLinks, type PeerLinksOptions } from './peer-links.ts';
import { isDialAddress } from './peer-target.ts';

export interface PeersOptions extends Pick<PeerLinksOptions, 'hello' | 'clusterId' | 'secureContext' | 'log'> {
  /** For the replica's inbox: what happens to links, and what comes over them. */
  readonly onEvent: (event: ReplicaEvent) => void;
  /** Another node says that this node's data directory is an older copy of what it voted with. */
  readonly onOlderCopy: (reason: string) => void;
}

/** The other nodes as a replica knows them: links tell it what happens in events, and do what its turns ask for. */
export class Peers {
  readonly #links: PeerLinks;
  readonly #log: Log;
  readonly #onEvent: (event: ReplicaEvent) => void;
  readonly #handles = new Map<number, { readonly hello: PeerHello; readonly link: PeerHandle }>();
  readonly #dialled = new Map<number, string>();
  /** Whom the replica wanted links with when it was last asked. */
  #wanted: ReadonlyMap<number, string> | undefined;

  constructor({ onEvent, onOlderCopy, ...options }: PeersOptions) {
    this.#log = options.log;
    this.#onEvent = onEvent;
    this.#links = new PeerLinks({
      ...options,
      onConnected: (hello, link) => this.#onConnected(hello, link),
      onDisconnected: (nodeId) => {
        this.#handles.delete(nodeId);
        onEvent({ type: 'peerDisconnected', nodeId });
      },
      onUnreached: (nodeId, reason, isRefusal) => onEvent({ type: 'peerUnreached', nodeId, reason, isRefusal }),
      onOlderCopy: (nodeId, reason) => onOlderCopy(`node ${nodeId} says: ${reason}`),
      onMessages: (from, messages) => onEvent({ type: 'peerMessages', from, messages }),
    });
  }

  /** Takes over a connection that another node opened. */
  accept(socket: WebSocket, request: IncomingMessage): void {
    this.#links.accept(socket, request);
  }

  /** Keeps links up to these nodes (id → "host:port"), and dials no others. Costs nothing where it is given the same map as before. */
  dial(wanted: ReadonlyMap<number, string>): void {
    if (wanted === this.#wanted) return;
    this.#wanted = wanted;
    for (const [nodeId, address] of wanted) {
      if (this.#dialled.get(nodeId) === address) continue;
      this.#dialled.set(nodeId, address);
      // Requests are checked; should one of a configuration not be right all the same, the other links must go on.
      if (isDialAddress(address)) this.#links.dial(nodeId, address);
      else this.#log('error', 'node cannot be dialled: the address is not host:port', { node: nodeId, address });
    }
    for (const nodeId of this.#dialled.keys()) {
      if (wanted.has(nodeId)) continue;
      this.#dialled.delete(nodeId);
      this.#links.undial(nodeId);
    }
  }

  /** Sends what others have to work on; the rest is for {@link sendNews}. */
  sendWork(outputs: readonly PeerOutput[]): void {
    for (const output of outputs) if (!isNewsOnly(output)) this.#links.send(output.to, output.messages);
  }

  /** Sends what {@link sendWork} left: nobody waits for it. */
  sendNews(outputs: readonly PeerOutput[]): void {
    for (const output of outputs) if (isNewsOnly(output)) this.#links.send(output.to, output.messages);
  }

  /** Ends the link that is meant: an older copy of a directory must not be told so on one with the newer. */
  refuse({ hello, reason, kind }: Refusal): void {
    const handle = this.#handles.get(hello.nodeId);
    if (handle?.hello === hello) handle.link.refuse(reason, kind);
  }

  /** Ends all links and attempts; nothing is reported any more. */
  close(): void {
    this.#links.close();
  }

  #onConnected(hello: PeerHello, link: PeerHandle): void {
    this.#handles.set(hello.nodeId, { hello, link });
    this.#onEvent({ type: 'peerConnected', hello });
  }
}

/** A decided index alone: what it lets others answer was asked of them, and that takes a message of its own to get here. */
function isNewsOnly({ messages }: PeerOutput): boolean {
  return messages.every(({ payload }) => payload.type === 'Decide');
}
