// Three replicas of a sum in one process: `node docs/examples/numbers.mjs 5 8 13`
// Each number is proposed at another node; all decide the same sequence, and so come to the same sums.
// @ts-check
import { BallotLeaderElection, OmniPaxos } from 'omnikv/omnipaxos';

const ids = [1, 2, 3];
const nodes = ids.map((pid) => {
  const peers = ids.filter((id) => id !== pid);
  /** @type {OmniPaxos<number>} */
  const omniPaxos = new OmniPaxos({ configurationId: 1, pid, peers });
  return { pid, omniPaxos, ble: new BallotLeaderElection({ configurationId: 1, pid, peers, paxos: omniPaxos }) };
});

/** The network: each message is handed over by a call, until there are no more. */
function deliverAll() {
  let count = 0;
  for (const { omniPaxos, ble } of nodes) {
    for (const message of ble.getOutgoingMsgs()) {
      count++;
      nodes[message.to - 1]?.ble.handle(message);
    }
    for (const message of omniPaxos.getOutgoingMsgs()) {
      count++;
      nodes[message.to - 1]?.omniPaxos.handle(message);
    }
  }
  if (count > 0) deliverAll();
}

/** The clock: one call is one election timeout. */
function tick() {
  for (const { omniPaxos, ble } of nodes) {
    const leader = ble.tick();
    if (leader) omniPaxos.handleLeader(leader);
    omniPaxos.tick();
  }
  deliverAll();
}

const numbers = process.argv.slice(2).map(Number);
if (numbers.length === 0 || numbers.some(Number.isNaN)) {
  console.error('numbers are due, such as: node numbers.mjs 5 8 13');
  process.exit(2);
}
for (let timeouts = 0; timeouts < 4; timeouts++) tick();
for (const [at, number] of numbers.entries()) {
  nodes[at % nodes.length]?.omniPaxos.proposeNormal(number);
  deliverAll();
}

for (const { pid, omniPaxos } of nodes) {
  const sums = [0];
  for (const entry of omniPaxos.getDecidedEntries()) {
    if (entry.type === 'Normal') sums.push((sums.at(-1) ?? 0) + entry.entry);
  }
  console.log(`node ${pid}: ${sums.join(' ')}`);
}
