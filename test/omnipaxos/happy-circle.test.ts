import { expect, it } from 'vitest';
import { BallotLeaderElection } from '../../src/omnipaxos/index.ts';

/** Nodes of configuration 2, of which 1 led the one before. It is gone after one round. */
it.each([4, 5])(
  'of %i nodes: those that come late do not keep each other happy for ever with nobody leading',
  (count) => {
    const ids = Array.from({ length: count }, (_, at) => at + 1);
    const make = (pid: number, isIncumbent = false) =>
      new BallotLeaderElection({ configurationId: 2, pid, peers: ids.filter((id) => id !== pid), isIncumbent });
    const up = new Map<number, BallotLeaderElection>();
    const deliver = () => {
      for (let isBusy = true; isBusy; ) {
        isBusy = false;
        for (const election of up.values()) {
          for (const message of election.getOutgoingMsgs()) {
            isBusy = true;
            up.get(message.to)?.handle(message);
          }
        }
      }
    };
    const tick = (pid: number) => {
      up.get(pid)?.tick();
      deliver();
    };
    up.set(1, make(1, true));
    up.set(2, make(2));
    deliver();
    tick(2);
    expect(up.get(2)).toMatchObject({ isHappy: true, leader: { pid: 1 } });
    up.delete(1);
    // Node 3 enters the configuration, and ends its first round before node 2 notices that the leader is gone; so does the last, a little later.
    for (let pid = 3; pid <= count; pid++) {
      up.set(pid, make(pid));
      deliver();
      tick(pid);
    }
    for (let round = 0; round < 200; round++) for (const pid of up.keys()) tick(pid);
    const state = [...up].map(
      ([pid, { leader, isHappy }]) => `${pid}: follows ${leader.n}.${leader.pid} happy ${isHappy}`,
    );
    const leads = [...up].filter(([pid, { leader, ballot }]) => leader.pid === pid && leader.n === ballot.n);
    expect(
      leads.map(([pid]) => pid),
      state.join('; '),
    ).toHaveLength(1);
  },
);
