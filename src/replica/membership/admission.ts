import type { Configuration } from '../../cluster/configuration.ts';
import type { NodeId } from '../../omnipaxos/ballot.ts';
import type { PeerHello } from '../../wire/peer-message.ts';
import type { Refusal } from '../events.ts';
import type { LogStore } from '../log-store.ts';
import type { Output } from '../output.ts';
import type { Openings } from './openings.ts';
import { otherDirectoryProblem, type Peers, strangerProblem } from './peers.ts';

/** What admission works with. */
export interface AdmissionParts {
  readonly store: LogStore;
  readonly peers: Peers;
  readonly openings: Openings;
  readonly output: Output;
  readonly clusterName: string;
}

/** Which nodes this one has a link with: neither strangers, nor members with another directory than they vote with, nor older copies of one. */
export class Admission {
  readonly #parts: AdmissionParts;

  constructor(parts: AdmissionParts) {
    this.#parts = parts;
  }

  get #configuration(): Configuration | undefined {
    return this.#parts.store.configuration;
  }

  /** A node says hello on a new link. Links it, or refuses it: then the reason, for people. Stages and commits what was learned of the members. */
  admit(hello: PeerHello, nowMs: number): string | undefined {
    const { store, peers, openings, clusterName } = this.#parts;
    const stranger = strangerProblem(hello, {
      identity: store.identity,
      configuration: this.#configuration,
      clusterName,
    });
    if (stranger !== undefined) return this.#refuse(hello, 'stranger', stranger);
    const otherDirectory = otherDirectoryProblem(hello, this.#configuration);
    if (otherDirectory !== undefined) {
      peers.refuse(hello, this.#configuration, nowMs);
      return this.#refuse(hello, 'stranger', otherDirectory);
    }
    const olderCopy = openings.olderCopyProblem(hello);
    if (olderCopy !== undefined) return this.#refuse(hello, 'olderCopy', olderCopy);
    openings.meet(hello, this.#configuration);
    store.commit();
    peers.connect(hello);
    return undefined;
  }

  /**
   * Others may tell of a later opening of a directory than the one that is linked: votes of that one must not count any more. The link is cut, and
   * no more said: it may be of a process that is gone, and its next one in the place of it by now. A copy that calls again is told. `onUnlinked` comes
   * before the link counts as gone.
   */
  unlinkOlderCopies(onUnlinked: (nodeId: NodeId) => void): void {
    const { peers, openings, output } = this.#parts;
    for (const hello of peers.hellos()) {
      const problem = openings.olderCopyProblem(hello);
      if (problem === undefined) continue;
      const { nodeId } = hello;
      output.notice('warn', `the link with node ${nodeId} is cut: ${problem}`);
      output.refuse(hello, 'stranger', problem);
      onUnlinked(nodeId);
      peers.disconnect(nodeId);
    }
  }

  #refuse(hello: PeerHello, kind: Refusal['kind'], reason: string): string {
    const { nodeId, address } = hello;
    const what = kind === 'olderCopy' ? 'its data directory was rolled back to an older copy: ' : '';
    this.#parts.output.notice('warn', `refused node ${nodeId} at ${address}: ${what}${reason}`);
    this.#parts.output.refuse(hello, kind, reason);
    return what + reason;
  }
}
