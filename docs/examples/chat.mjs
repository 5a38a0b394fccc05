// A chat room without a server of its own: three processes, plain TCP, one line of JSON a message.
//   node docs/examples/chat.mjs 1 ann      (and 2 bob, 3 eve, each in a terminal; then type)
// Node N listens on 127.0.0.1:4700+N and keeps its log in chat-N.log. Everybody sees the same lines in the same order; two of
// three are enough to go on; one that was killed comes back with all that was said. CHAT_PORT and CHAT_DIR say otherwise.
// @ts-check
import { randomUUID } from 'node:crypto';
import { connect, createServer } from 'node:net';
import { createInterface } from 'node:readline';
import { BallotLeaderElection, OmniPaxos } from 'omnikv/omnipaxos';
import { FileStore } from './file-store.mjs';

const pid = Number(process.argv[2]);
const name = process.argv[3] ?? `node ${pid}`;
const basePort = Number(process.env['CHAT_PORT'] ?? 4700);
const [tickMs, queueBytesMax, waitingMax] = [50, 1_000_000, 100];
const peers = [1, 2, 3].filter((id) => id !== pid);
if (peers.length !== 2) throw new Error(`the first argument is ${process.argv[2]}: 1, 2 or 3 is due`);

/** @typedef {{ id: string, name: string, text: string }} Said */
const store = new FileStore(`${process.env['CHAT_DIR'] ?? '.'}/chat-${pid}.log`);
/** @type {OmniPaxos<Said>} */
const omniPaxos = new OmniPaxos({ configurationId: 1, pid, peers, store });
const ble = new BallotLeaderElection({ configurationId: 1, pid, peers, paxos: omniPaxos, electionTimeoutTicks: 5 });

// The network. Each node dials each peer and sends on its own connection; what it receives comes on theirs.
/** @type {Map<number, import('node:net').Socket>} */
const links = new Map();
for (const peer of peers) dial(peer);
createServer((socket) => {
  socket.on('error', () => socket.destroy());
  createInterface({ input: socket }).on('line', (line) => receive(JSON.parse(line)));
}).listen(basePort + pid, '127.0.0.1');

/** @param {number} peer */
function dial(peer) {
  const link = connect(basePort + peer, '127.0.0.1', () => {
    links.set(peer, link);
    send({ kind: 'reconnected', message: { from: pid, to: peer } });
    receive({ kind: 'reconnected', message: { from: peer } });
  });
  link.on('error', () => link.destroy());
  link.on('close', () => {
    links.delete(peer);
    setTimeout(dial, tickMs, peer);
  });
}

/** What finds no link, or a full one, is lost: the algorithm mends that. @param {{ kind: string, message: any }} frame */
function send(frame) {
  const link = links.get(frame.message.to);
  if (link && link.writableLength < queueBytesMax) link.write(`${JSON.stringify(frame)}\n`);
}

/** @param {{ kind: string, message: any }} */
function receive({ kind, message }) {
  if (kind === 'reconnected') omniPaxos.reconnected(message.from);
  else if (kind === 'ble') ble.handle(message);
  else omniPaxos.handle(message);
  turn();
}

// The room. A proposal may be lost with a link: it is repeated until it is decided, and shown once, by its id.
/** @type {Said[]} */
const waiting = [];
const shown = new Set();
let shownIndex = 0;

createInterface({ input: process.stdin }).on('line', (text) => {
  if (waiting.length === waitingMax) return console.error('no majority to talk to; wait');
  waiting.push({ id: randomUUID(), name, text });
  if (waiting.length === 1) propose();
  turn();
});

setInterval(() => {
  const leader = ble.tick();
  if (leader) omniPaxos.handleLeader(leader);
  omniPaxos.tick();
  turn();
}, tickMs);
setInterval(propose, 20 * tickMs);

function propose() {
  if (waiting[0]) omniPaxos.proposeNormal(waiting[0]);
}

/** Shows what is decided, and sends what there is to send. */
function turn() {
  for (const entry of omniPaxos.getDecidedEntries(shownIndex)) {
    shownIndex++;
    if (entry.type !== 'Normal' || shown.has(entry.entry.id)) continue;
    shown.add(entry.entry.id);
    console.log(`${entry.entry.name}: ${entry.entry.text}`);
    if (entry.entry.id === waiting[0]?.id) waiting.shift() && propose();
  }
  omniPaxos.takeReturnedProposals();
  for (const message of ble.getOutgoingMsgs()) send({ kind: 'ble', message });
  for (const message of omniPaxos.getOutgoingMsgs()) send({ kind: 'paxos', message });
}
