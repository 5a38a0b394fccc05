import type { Ballot, NodeId } from '../omnipaxos/ballot.ts';
import type { PeerMessage } from '../wire/peer-message.ts';
import type { DonorService } from './catch-up/donor-service.ts';
import type { Clients } from './clients/clients.ts';
import { soundProposals } from './clients/forwarded-proposals.ts';
import type { Membership } from './membership/membership.ts';
import type { Reconfigurations } from './membership/reconfigurations.ts';
import type { NodeView } from './node-view.ts';
import type { Output } from './output.ts';
import type { Applier } from './state/applier.ts';
import type { Voter } from './voter.ts';

/** Between whom it goes: the parts of the node, each of which the node has one of. */
export interface ConsensusExchangeParts {
  readonly view: NodeView;
  readonly membership: Membership;
  readonly applier: Applier;
  readonly donorService: DonorService;
  readonly clients: Clients;
  readonly reconfigurations: Reconfigurations;
  readonly output: Output;
}

/**
 * What passes between the consensus of the present configuration and the rest of the node: messages both ways, decided entries to the state, and
 * what clients have to hear of it: read indexes, proposals that come back, another leader. It goes on from one configuration into the next.
 */
export class ConsensusExchange {
  readonly #view: NodeView;
  readonly #membership: Membership;
  readonly #applier: Applier;
  readonly #donorService: DonorService;
  readonly #clients: Clients;
  readonly #reconfigurations: Reconfigurations;
  readonly #output: Output;
  #hasMoreToDo = false;
  /** Whose lead was noticed last, and in which configuration. */
  #noticed: { readonly leader: Ballot | undefined; readonly configurationId: number } = {
    leader: undefined,
    configurationId: 0,
  };

  constructor(parts: ConsensusExchangeParts) {
    this.#view = parts.view;
    this.#membership = parts.membership;
    this.#applier = parts.applier;
    this.#donorService = parts.donorService;
    this.#clients = parts.clients;
    this.#reconfigurations = parts.reconfigurations;
    this.#output = parts.output;
  }

  beginTurn(): void {
    this.#hasMoreToDo = false;
  }

  /** This turn left decided entries for the next, or made the node enter or leave a configuration. */
  get hasMoreToDo(): boolean {
    return this.#hasMoreToDo;
  }

  /** A message of the algorithm or of its election. One of an older configuration is answered with the present one. */
  receive(from: NodeId, message: PeerMessage): void {
    // What decides a StopSign and what comes behind it may be here in one turn: the first opens the configuration of the others.
    if (message.configurationId > this.#membership.configurationId) this.#advanceInto(message.configurationId);
    const { voter } = this.#membership;
    if (voter && message.configurationId === voter.configurationId) {
      voter.handle(from, this.#view.nodeId, this.#sound(from, message));
    } else if (message.configurationId < this.#membership.configurationId) {
      this.#membership.announce(from);
    }
  }

  /** Proposals in the hands of a leader that leads no more may be lost. */
  noticeLeader(): void {
    const leader = this.#membership.voter?.leader;
    const { configurationId } = this.#membership;
    const before = this.#noticed;
    const isSame = leader?.n === before.leader?.n && leader?.pid === before.leader?.pid;
    if (isSame && (!leader || before.configurationId === configurationId)) return;
    this.#noticed = { leader, configurationId };
    this.#clients.proposeAgain();
    if (leader) this.#output.notice('info', `node ${leader.pid} leads, ballot ${leader.n}`);
  }

  /** Messages out, decided entries in, until the configuration stays the same. */
  advance(): void {
    for (;;) {
      const { voter } = this.#membership;
      if (voter) this.#collect(voter);
      const isHandedOver = this.#applyDecided();
      if (!isHandedOver) return;
      this.#reconfigurations.pump();
      this.#hasMoreToDo = true;
    }
  }

  /** The StopSign before that configuration may be behind more than one turn applies. */
  #advanceInto(configurationId: number): void {
    for (let before = -1; before < this.#view.appliedIndex && this.#membership.configurationId < configurationId; ) {
      before = this.#view.appliedIndex;
      this.advance();
    }
  }

  #collect(voter: Voter): void {
    for (const { to, configurationId, payload } of voter.outgoing()) this.#output.send(to, configurationId, payload);
    for (const { readId, readIndex } of voter.paxos.takeReadyReads()) this.#clients.onReadReady(readId, readIndex);
    for (const entry of voter.paxos.takeReturnedProposals()) {
      if (entry.type === 'Normal') this.#clients.onReturned(entry.entry);
      else this.#reconfigurations.onReturned();
    }
  }

  /** Applies decided entries in order. True if a StopSign among them made this node enter or leave a configuration. */
  #applyDecided(): boolean {
    const { mode } = this.#membership;
    if (mode.name === 'forming') return false;
    const applied = this.#applier.advance();
    if (applied === 'nothing') return false;
    if (applied === 'more') this.#hasMoreToDo = true;
    this.#donorService.reached();
    return applied === 'handedOver';
  }

  /** The message, without proposals that must not get into the log. */
  #sound(from: NodeId, message: PeerMessage): PeerMessage {
    const { configurationId, payload } = message;
    if (payload.type !== 'ForwardProposals') return message;
    const entries = soundProposals(payload.entries, configurationId);
    if (entries === payload.entries) return message;
    const count = payload.entries.length - entries.length;
    this.#output.notice(
      'warn',
      `node ${from} forwarded ${count} of ${payload.entries.length} proposals that are no valid commands`,
    );
    return { configurationId, payload: { type: 'ForwardProposals', entries } };
  }
}
