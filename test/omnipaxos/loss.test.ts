import { describe, expect, it } from 'vitest';
import { Cluster, type Message, name } from './cluster.ts';

/**
 * "Every kind of message may vanish once, the last one before silence included; a periodic resend mends it."
 *
 * One run in which every kind of message occurs, repeated as often as it has messages: each time another single one is lost.
 */
describe('nothing stays lost', () => {
  const { sent } = run(undefined);

  it('the run has every kind of message', () => {
    const kinds = new Set(sent.map(({ payload }) => payload.type));
    expect([...kinds].sort()).toEqual([
      'AcceptDecide',
      'AcceptSync',
      'Accepted',
      'Behind',
      'Confirm',
      'ConfirmRequest',
      'Decide',
      'ForwardProposals',
      'HeartbeatReply',
      'HeartbeatRequest',
      'NotAccepted',
      'Prepare',
      'PrepareRequest',
      'Probe',
      'Promise',
      'ReadIndexReply',
      'ReadIndexRequest',
      'ReturnProposals',
    ]);
  });

  it(`each single message lost, one after the other`, () => {
    for (let lost = 0; lost < sent.length; lost++) {
      const message = sent[lost] as Message;
      const { cluster } = run(lost);
      const what = `${message.payload.type} ${message.from}→${message.to}, message ${lost} of ${sent.length}`;
      const [first] = cluster.ids;
      const names = cluster.decidedOf(first as number);
      for (const { pid, paxos } of cluster.nodes.values()) {
        const decided = paxos.getDecidedEntries().map(name);
        expect(decided, `decided at ${pid} after loss of ${what}`).toEqual(names.slice(-decided.length));
        expect(paxos.decidedIndex, `node ${pid} after loss of ${what}`).toBe(
          cluster.paxos(first as number).decidedIndex,
        );
      }
      expect(names.at(-1), `the StopSign is decided after loss of ${what}`).toBe('StopSign(1,2,4)');
    }
  });
});

function run(lost: number | undefined): { cluster: Cluster; sent: Message[] } {
  const cluster = new Cluster({ replica: { undecidedSizeMax: 4, syncSizeMax: 5, messageSizeMax: 2 } });
  const sent: Message[] = [];
  cluster.fate = (message) => {
    sent.push(message);
    return sent.length - 1 === lost ? 'drop' : 'deliver';
  };
  const first = cluster.elect();
  const [a, b] = cluster.ids.filter((pid) => pid !== first) as [number, number];
  cluster.propose(first, 'a', 'b', 'c');
  cluster.propose(a, 'forwarded');
  cluster.timeouts(2);
  const reads = [first, a].map((pid) => ({ pid, id: cluster.paxos(pid).requestRead() as number }));
  cluster.timeouts(2);
  for (const { pid, id } of reads) expect(cluster.node(pid).ready.has(id), `read at ${pid}, lost ${lost}`).toBe(true);
  // Node b falls far behind, then comes back: catch-up.
  cluster.crash(b);
  for (const entry of 'defghij') {
    cluster.propose(first, entry);
    cluster.tick();
  }
  cluster.restart(b);
  cluster.timeouts(3);
  // The leader is cut off and meets a higher promise when it comes back.
  const leader = cluster.leader as number;
  cluster.cut(leader, ...cluster.ids.filter((pid) => pid !== leader));
  cluster.propose(leader, 'may be lost');
  cluster.timeouts(5);
  for (const pid of cluster.ids) cluster.heal(leader, pid, true);
  cluster.timeouts(6);
  // A StopSign, and a proposal that it overtakes; proposed again as long as it is not decided, as a client would.
  const proposer = cluster.ids.find((pid) => pid !== cluster.leader) as number;
  for (let tries = 0; tries < 4 && !cluster.paxos(proposer).isReconfigured(); tries++) {
    cluster.paxos(proposer).proposeReconfiguration([1, 2, 4]);
    cluster.propose(proposer, 'overtaken');
    cluster.timeouts(3);
  }
  cluster.timeouts(4);
  return { cluster, sent };
}
