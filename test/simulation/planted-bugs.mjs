// Bugs to be planted into the source while the simulator is bundled, to see that its checks bite. Nothing of them is in what users
// install. Each edit names a file, a text that must be in it exactly once, and what comes in its place.

const leader = 'src/omnipaxos/leader.ts';
const follower = 'src/omnipaxos/follower.ts';
const omniPaxos = 'src/omnipaxos/omnipaxos.ts';
const election = 'src/omnipaxos/ballot-leader-election.ts';
const log = 'src/omnipaxos/log.ts';
const sync = 'src/omnipaxos/sync.ts';
const reads = 'src/omnipaxos/read-index.ts';
const replica = 'src/replica/replica.ts';
const membership = 'src/replica/membership/membership.ts';
const recipient = 'src/replica/membership/recipient.ts';
const admission = 'src/replica/membership/admission.ts';
const leadHandover = 'src/replica/lead/lead-handover.ts';
const stateKeeper = 'src/replica/state/state-keeper.ts';
const roomForState = 'src/replica/catch-up/room-for-state.ts';
const peers = 'src/replica/membership/peers.ts';
const clients = 'src/replica/clients/clients.ts';
const watches = 'src/replica/clients/watches.ts';
const session = 'src/kv/client-session.ts';
const stateMachine = 'src/kv/state-machine.ts';
const stagedChanges = 'src/kv/staged-changes.ts';

/** `seeds`: how many it may take. */
export const plantedBugs = [
  {
    name: 'acknowledge before the flush',
    rule: 'the leader counts its own vote once its own disk has it',
    seeds: 200,
    edits: [
      {
        file: leader,
        find: 'let count = this.#context.log.durableIndex >= index ? 1 : 0;',
        replace: 'let count = this.#context.log.acceptedIndex >= index ? 1 : 0;',
      },
    ],
  },
  {
    name: 'Accepted before the flush',
    rule: 'Accepted carries only what is durable',
    seeds: 50,
    edits: [
      {
        file: follower,
        find: 'const acceptedIndex = log.durableIndex;',
        replace: 'const acceptedIndex = log.acceptedIndex;',
      },
    ],
  },
  {
    name: 'Promise before the flush',
    rule: 'a promise is durable before it is sent',
    seeds: 50,
    edits: [{ file: follower, find: 'outbox.sendAfter(log.lastWrite, from, {', replace: 'outbox.send(from, {' }],
  },
  {
    name: 'accept quorum less one',
    rule: 'decided is what an accept quorum has',
    seeds: 50,
    edits: [{ file: leader, find: 'return count >= quorum;', replace: 'return count >= Math.max(1, quorum - 1);' }],
  },
  {
    name: 'prepare quorum less one',
    rule: 'a leader adopts with a prepare quorum',
    seeds: 400,
    edits: [
      {
        file: leader,
        find: 'if (promised.length + 1 < options.quorum.prepare) return;',
        replace: 'if (promised.length + 2 < options.quorum.prepare) return;',
      },
    ],
  },
  {
    name: 'adopt by length alone',
    rule: 'logs are compared by round first, then by length (mistake 1)',
    seeds: 1000,
    edits: [
      {
        file: sync,
        find: 'return compareBallots(a.acceptedRound, b.acceptedRound) || a.acceptedIndex - b.acceptedIndex;',
        replace: 'return a.acceptedIndex - b.acceptedIndex;',
      },
    ],
  },
  {
    name: 'AcceptSync without the min',
    rule: 'a sync starts where both logs are the same for certain (mistake 2)',
    seeds: 1000,
    edits: [
      {
        file: sync,
        find: 'Math.min(follower.acceptedIndex, adopted.acceptedIndex)',
        replace: 'follower.acceptedIndex',
      },
    ],
  },
  {
    name: 'a sync ends within the adopted log',
    rule: 'who has accepted in a round has all that its leader adopted',
    seeds: 8000,
    edits: [
      {
        file: leader,
        find: 'return syncIndex + entries.length >= adoptedEnd ? entries :',
        replace: 'return syncIndex + entries.length >= 0 ? entries :',
      },
    ],
  },
  {
    name: 'an old log keeps its tail',
    rule: 'an old leader with a longer divergent suffix does not keep it (mistake 3)',
    seeds: 1000,
    edits: [
      {
        file: log,
        find: 'if (keep < this.acceptedIndex) sequence.truncate(keep);\n    if (rest.length > 0) sequence.append(rest);\n    state.acceptedRound',
        replace:
          'if (rest.length > 0 && keep < this.acceptedIndex) sequence.truncate(keep);\n    if (rest.length > 0) sequence.append(rest);\n    state.acceptedRound',
      },
    ],
  },
  {
    name: 'reused ballot after restart',
    rule: 'a node never comes back as the leader that it was (mistake 4)',
    seeds: 200,
    edits: [
      {
        file: omniPaxos,
        find: 'if (!isFresh) follower.recover();',
        replace:
          'if (this.#log.promise.pid === pid) this.#role = new Leader(this.#context, this.#log.promise, this.#log.lastWrite);\n    else if (!isFresh) follower.recover();',
      },
      {
        file: election,
        find: 'this.#ballot = { n: recovered ? 0 : firstNumber, priority, pid };',
        replace:
          'this.#ballot = recovered?.pid === pid ? recovered : { n: recovered ? 0 : firstNumber, priority, pid };',
      },
    ],
  },
  {
    name: 'local read served as linearizable',
    rule: 'a read is served at an index that a quorum confirmed',
    seeds: 50,
    edits: [
      {
        file: 'src/replica/clients/reads.ts',
        find: "if (request.consistency === 'linearizable') this.#pending.add(read);",
        replace: "if (request.consistency === 'a majority was asked') this.#pending.add(read);",
      },
    ],
  },
  {
    name: 'read index taken after the confirmation',
    rule: 'only a round that began after the read confirms it',
    seeds: 2000,
    edits: [
      {
        file: reads,
        find: 'const read = { readId, from, readIndex, round: this.#round + 1, isConfirmedByAsker };',
        replace: 'const read = { readId, from, readIndex, round: this.#round, isConfirmedByAsker };',
      },
    ],
  },
  {
    name: 'reads of an old leader',
    rule: 'an accept quorum confirms that it has promised nothing higher (mistake 22)',
    seeds: 500,
    edits: [{ file: reads, find: 'return count >= options.quorum.accept;', replace: 'return count >= 1;' }],
  },
  {
    name: 'session table not replicated',
    rule: 'sessions are replicated state: they go with a snapshot',
    seeds: 300,
    edits: [
      {
        file: 'src/kv/memory-state-store.ts',
        find: "yield { type: 'session', id, record: sessionRecord(id, bytes) };",
        replace: '',
      },
    ],
  },
  {
    name: 'a retry is applied twice',
    rule: 'at most once per session number (mistake 25)',
    seeds: 100,
    edits: [
      {
        file: session,
        find: 'return this.#outcomes.get(number);\n  }\n\n  /** Keeps',
        replace: 'return undefined;\n  }\n\n  /** Keeps',
      },
    ],
  },
  {
    name: 'a full disk refuses locally',
    rule: 'the refusal of puts is decided: the same on every replica',
    seeds: 300,
    edits: [
      {
        file: replica,
        find: 'this.#space.onMeasured(measured);',
        replace: "this.#space.onMeasured(measured);\n    this.#machine.isFullHere = measured.level === 'full';",
      },
      {
        file: stateMachine,
        find: 'if (this.#cluster.fullNodes.length > 0) return noSpace;',
        replace: 'if (this.isFullHere) return noSpace;',
      },
    ],
  },
  {
    name: 'who is full is not replicated',
    rule: 'the nodes without space go with a checkpoint and a snapshot',
    seeds: 300,
    edits: [
      {
        file: stateMachine,
        find: 'this.#cluster.load(rows.find((row) => row.id === registerRowId)?.bytes);',
        replace: 'this.#cluster.load(undefined);',
      },
    ],
  },
  {
    name: 'a full node is remembered after it left',
    rule: 'with each configuration it is said anew who is full: who is no member holds nobody up',
    seeds: 500,
    edits: [
      {
        file: 'src/kv/cluster-register.ts',
        find: 'metadata: configuration.metadata.slice() };\n    this.#full = [];',
        replace: 'metadata: configuration.metadata.slice() };',
      },
    ],
  },
  {
    name: 'appending after a StopSign',
    rule: 'nothing is appended after a StopSign',
    seeds: 300,
    edits: [
      { file: leader, find: 'while (!queue.isEmpty && !log.isStopped) {', replace: 'while (!queue.isEmpty) {' },
      {
        file: log,
        find: "assert(this.#stopSignIndex === undefined, 'nothing is appended after a StopSign');",
        replace: 'this.#stopSignIndex = undefined;',
      },
      {
        file: log,
        find: "assert(at === entries.length - 1, 'a StopSign is the last entry of its configuration');",
        replace: '',
      },
      { file: omniPaxos, find: "if (this.#log.isStopped) return { ok: false, reason: 'stopped' };", replace: '' },
      {
        file: omniPaxos,
        find: 'const isTaken = this.isLeader && !this.#log.isStopped &&',
        replace: 'const isTaken = this.isLeader &&',
      },
    ],
  },
  {
    name: 'trim by accepted index',
    rule: 'a node drops only log that its own durable state covers (mistake 17)',
    seeds: 200,
    edits: [
      {
        file: stateKeeper,
        find: 'this.#stateStore.durableIndex - this.#settings.logTailEntries',
        replace: 'this.#logStore.sequence.endIndex - this.#settings.logTailEntries',
      },
    ],
  },
  {
    name: 'install of state that merges',
    rule: 'installing state replaces everything below its index',
    seeds: 500,
    edits: [
      {
        file: 'src/kv/memory-state-store.ts',
        find: 'this.#installing = new MemoryTable();',
        replace: 'this.#installing = this.#disk.table.writable();',
      },
    ],
  },
  {
    name: 'a gap in a session goes unseen',
    rule: 'a follower takes the next message of a session and no other',
    seeds: 300,
    edits: [
      {
        file: follower,
        find: 'if (message.counter > phase.counter + 1) {\n      this.recover();\n      return false;\n    }\n    phase.counter++;',
        replace: 'phase.counter = message.counter;',
      },
      {
        file: follower,
        find: 'const known = log.acceptedIndex - message.startIndex;\n    if (known < 0) {',
        replace: 'const known = Math.max(0, log.acceptedIndex - message.startIndex);\n    if (known < 0) {',
      },
    ],
  },
  {
    name: 'what was asked once is not asked again',
    rule: 'every kind of message may vanish once, the last one before silence included (mistake 8)',
    seeds: 500,
    edits: [
      {
        file: follower,
        find: "if (this.#phase.name === 'recover' || this.#phase.name === 'idle') this.#requestPrepare();",
        replace: '',
      },
      {
        file: leader,
        find: "if (follower.status === 'unprepared' || (follower.status === 'outranked' && isInquiry)) this.#prepare(follower);\n      else if (follower.status === 'behind')",
        replace: "if (follower.status === 'behind')",
      },
    ],
  },
  {
    name: 'the last Accepted may stay lost',
    rule: 'a leader asks in silence whether all has come through (mistake 8)',
    seeds: 1500,
    edits: [
      {
        file: leader,
        find: "follower.status === 'synced' &&\n        (isInquiry ||",
        replace: "follower.status === 'outranked' &&\n        (isInquiry ||",
      },
    ],
  },
  {
    name: 'a wiped disk votes',
    rule: 'a node whose disk was emptied does not come back as the old member',
    seeds: 300,
    edits: [
      {
        file: membership,
        find: 'member.id === nodeId && member.storageId === storageId)',
        replace: "member.id === nodeId && storageId !== '')",
      },
      {
        file: peers,
        find: 'if (!member || member.storageId === hello.storageId) return undefined;',
        replace: "if (!member || hello.storageId !== '') return undefined;",
      },
    ],
  },
  {
    name: 'a rolled-back disk votes',
    rule: 'a directory that was rolled back to an older copy does not come back as the old member',
    seeds: 300,
    edits: [
      {
        file: admission,
        find: "if (olderCopy !== undefined) return this.#refuse(hello, 'olderCopy', olderCopy);",
        replace: '',
      },
      { file: admission, find: 'if (problem === undefined) continue;', replace: 'continue;' },
    ],
  },
  {
    name: 'a newcomer votes before it has caught up',
    rule: 'a new member takes part when it is complete',
    seeds: 300,
    edits: [
      {
        file: membership,
        find: 'if (!catchUp.isComplete) return false;',
        replace: '',
      },
    ],
  },
  {
    name: 'a state outlives its configuration',
    rule: 'a node whose state is from behind its StopSign takes up the configuration that this is of',
    seeds: 16_000,
    edits: [
      { file: replica, find: 'this.#enterConfigurationOfState();', replace: '' },
      { file: stateKeeper, find: 'if (!this.#isConfigurationDurable) return;', replace: '' },
    ],
  },
  {
    name: 'the newest layer becomes durable first',
    rule: 'the durable state is that of the log up to its applied index',
    seeds: 300,
    edits: [
      {
        file: stagedChanges,
        find: 'const [oldest] = this.#sealed;',
        replace: 'const oldest = this.#sealed.pop();\n    if (oldest) this.#sealed.unshift(oldest);',
      },
    ],
  },
  {
    name: 'a snapshot lacks sessions that wait',
    rule: 'a snapshot is all of the state at its index',
    seeds: 1000,
    edits: [
      {
        file: stagedChanges,
        find: 'return this.#sealed.map(({ sessions }) => sessions);',
        replace: 'return this.#sealed.slice(0, 1).map(({ sessions }) => sessions);',
      },
    ],
  },
  {
    name: 'a condition is passed over',
    rule: 'a conditional write changes a key only at the revision that it names',
    seeds: 20,
    edits: [{ file: stateMachine, find: 'if (conflict) return conflict;', replace: '' }],
  },
  {
    name: 'a condition of a transaction is passed over',
    rule: 'a transaction changes something only if all its conditions hold where it is applied',
    seeds: 50,
    edits: [
      {
        file: stateMachine,
        find: "if (conflict) return { type: 'unmet',",
        replace: "if (conflict && condition > 0) return { type: 'unmet',",
      },
    ],
  },
  {
    name: 'half of a transaction is made',
    rule: 'a transaction makes all its changes, or none',
    seeds: 50,
    edits: [
      {
        file: stateMachine,
        find: 'for (const change of changes) {',
        replace: 'for (const change of changes.slice(0, 1)) {',
      },
    ],
  },
  {
    name: 'the end of a key passes over its renewal',
    rule: 'a key that was renewed before its end in the log stays',
    seeds: 1000,
    edits: [
      { file: stateMachine, find: '|| expiry.renewedAt !== renewedAt) return;', replace: '|| renewedAt < 0) return;' },
    ],
  },
  {
    name: 'a put leaves what expired before it',
    rule: 'a key expires with the put that said so',
    seeds: 100,
    edits: [{ file: stateMachine, find: 'else if (this.#expiries.size > 0) this.#expiries.drop(key);', replace: '' }],
  },
  {
    name: 'which keys expire is not stored',
    rule: 'what expires is part of the state',
    seeds: 100,
    edits: [{ file: stateMachine, find: ', ...this.#expiries.takeChanges()]', replace: ']' }],
  },
  {
    name: 'a key expires too soon',
    rule: 'no key expires before its time',
    seeds: 100,
    edits: [
      {
        file: 'src/replica/state/expirer.ts',
        find: 'untilMs: this.#clockMs + ttlMs',
        replace: 'untilMs: this.#clockMs + ttlMs / 2',
      },
    ],
  },
  {
    name: 'a watch takes a new state for the old one',
    rule: 'what changed while a state was installed is not passed over',
    seeds: 1000,
    edits: [{ file: watches, find: 'this.#recent?.restart(this.#machine.appliedIndex);', replace: '' }],
  },
  {
    name: 'forgotten changes count as none',
    rule: 'a watch is told all that changed behind the revision that it names',
    seeds: 100,
    edits: [
      {
        file: 'src/kv/recent-changes.ts',
        find: 'this.#knownFrom = this.#revisions[this.#first] as number;',
        replace: '',
      },
    ],
  },
  {
    name: 'a change wakes no watch',
    rule: 'a watch that waits is told of the next change',
    seeds: 100,
    edits: [{ file: watches, find: 'this.#makeDue(read, revision - 1);', replace: 'void read, revision;' }],
  },
  {
    name: 'a watch asks nobody',
    rule: 'a watch sees every write acknowledged before it',
    seeds: 300,
    edits: [
      {
        file: 'src/replica/clients/reads.ts',
        find: "request.type === 'backupOpen' || request.type === 'watch'",
        replace: "request.type === 'backupOpen'",
      },
    ],
  },
  {
    name: 'a voter takes state from behind a StopSign',
    rule: 'a voter leaves its configuration before a state from behind its StopSign becomes its own',
    seeds: 2000,
    edits: [
      {
        file: recipient,
        find: 'if (configurationId > this.#membership.newestIdToldOf) return;',
        replace: '',
      },
      {
        file: recipient,
        find: 'this.#membership.onStateInstalled(index, this.#machine.configuration);',
        replace: '',
      },
    ],
  },
  {
    name: 'the tail of a striped transfer is not asked for',
    rule: 'what is left is a range of its own, however small (mistake 21)',
    seeds: 300,
    edits: [
      {
        file: 'src/replica/catch-up/state-transfer.ts',
        find: 'if (!done) return true;\n    this.#add(undefined);',
        replace: 'if (!done) return true;\n    if (cursors.length === 0 && after === undefined) this.#add(undefined);',
      },
    ],
  },
  {
    name: 'rows of two snapshots are mixed',
    rule: 'donors are interchangeable at the same index only; installing state replaces, never merges',
    seeds: 1000,
    edits: [
      {
        file: 'src/replica/catch-up/state-transfer.ts',
        find: 'if (progress?.index === index) {',
        replace: 'if (progress !== undefined) {',
      },
    ],
  },
  {
    name: 'a state becomes the own one while rows of it wait to be written',
    rule: 'a state is installed once all of it is here and written',
    seeds: 300,
    edits: [
      {
        file: 'src/replica/catch-up/catch-up.ts',
        find: 'if (this.#stateStore.installBacklogBytes > 0 || this.#stateStore.installLacksRoom) return undefined;',
        replace: '',
      },
    ],
  },
  {
    name: 'a state of which some rows found no room is waited for',
    rule: 'a state without room is given up, and asked for again later',
    seeds: 300,
    edits: [
      {
        file: roomForState,
        find: 'if (this.#stateStore.installLacksRoom) return true;',
        replace: '',
      },
    ],
  },
  {
    name: 'a state without room is given up and keeps its rows',
    rule: 'what was written of a state that is given up makes room again',
    seeds: 2000,
    edits: [
      {
        file: roomForState,
        find: 'this.#saidBytes = saidBytes;\n    this.#stateStore.beginInstall();',
        replace: 'this.#saidBytes = saidBytes;',
      },
    ],
  },
  {
    name: 'a complete state waits behind a checkpoint that waits for its room',
    rule: 'a state is installed behind no checkpoint that waits for what its rows take',
    seeds: 2000,
    edits: [
      {
        file: recipient,
        find: 'if (this.#keeper.isCheckpointing) {',
        replace: 'if (this.#keeper.isCheckpointing && catchUp.takeComplete === undefined) {',
      },
    ],
  },
  {
    name: 'a state is gone on with while a checkpoint waits for its room',
    rule: 'a checkpoint that waits for room comes before a state',
    seeds: 2000,
    edits: [
      {
        file: roomForState,
        find: 'if (isOver && (isWaiting || (attempt.hadSpace && !isWritten))) return true;',
        replace: 'if (isOver && attempt.hadSpace && !isWritten && !isWaiting) return true;',
      },
    ],
  },
  {
    name: 'rows that nobody goes on with keep their room',
    rule: 'rows from before a crash make room for a checkpoint that waits for some',
    seeds: 12_000,
    edits: [
      {
        file: recipient,
        find: 'this.#keeper.dropHalfTaken(isWaiting ? Number.POSITIVE_INFINITY : this.#machine.appliedIndex);',
        replace: 'void isWaiting;',
      },
    ],
  },
  {
    name: 'a chunk with a bad checksum is installed',
    rule: 'chunks carry checksums, which are looked at before they are installed',
    seeds: 300,
    edits: [
      {
        file: 'src/kv/packed-rows.ts',
        find: 'if (checksumOf(bytes) !== checksum) return undefined;',
        replace: '',
      },
      {
        file: 'src/kv/packed-rows.ts',
        find: 'record.length >= 4 && new ByteReader(record).u32() === crc32(record.subarray(4), seed)',
        replace: 'record.length >= 4 && new ByteReader(record).u32() >= 0 && seed >= 0',
      },
    ],
  },
  {
    name: 'a segment with a bad checksum goes into the log',
    rule: 'segments of the log carry checksums, which are looked at before they are installed',
    seeds: 300,
    edits: [
      {
        file: 'src/replica/catch-up/log-transfer.ts',
        find: "if (segmentChecksum(from, entries) !== checksum) return 'bad';",
        replace: "if (segmentChecksum(from, entries) === -1 - checksum) return 'bad';",
      },
    ],
  },
  {
    name: 'a donor holds a snapshot of another index',
    rule: 'a snapshot is of exactly the index that was asked for',
    seeds: 1000,
    edits: [
      {
        file: 'src/replica/catch-up/donor.ts',
        find: 'this.#snapshots.set(appliedIndex, {',
        replace: 'this.#snapshots.set(Math.max(appliedIndex, ...this.#holds.keys()), {',
      },
    ],
  },
  {
    name: 'a read is served before its index is applied',
    rule: 'the read is served once that index is applied',
    seeds: 100,
    edits: [
      {
        file: 'src/replica/clients/pending-reads.ts',
        find: 'if (group.readIndex > appliedIndex) waiting.push(group);',
        replace: 'if (group.readIndex > appliedIndex + 1_000_000) waiting.push(group);',
      },
    ],
  },
  {
    name: 'a possible success is called a failure',
    rule: 'a write that may be applied yet is never reported as not applied',
    seeds: 100,
    edits: [
      {
        file: clients,
        find: "if (proposals === 0) return isLed ? lateAnswer : failure('noMajority', 'notApplied', whyNoLeader);",
        replace: "if (proposals >= 0) return failure('noMajority', 'notApplied', whyNoLeader);",
      },
    ],
  },
  {
    name: 'hand the lead over without a cause',
    rule: 'only a leader whose disk is slow, or whose entries take long to be decided, asks another to lead',
    seeds: 20,
    edits: [
      {
        file: 'src/replica/lead/lead-keeper.ts',
        find: 'if (isUnfit && inOffice)',
        replace: 'if (inOffice)',
      },
    ],
  },
  {
    name: 'hand the lead over though all is decided quickly',
    rule: 'only a leader whose disk is slow, or whose entries take long to be decided, asks another to lead',
    seeds: 20,
    edits: [
      {
        file: 'src/replica/lead/lead-keeper.ts',
        find: 'isNew || !this.#decisionWatch.isSlow)',
        replace: 'isNew)',
      },
    ],
  },
  {
    name: 'hand the lead over again and again',
    rule: 'a leader that nobody relieves lets a pause go by before it asks again',
    seeds: 400,
    edits: [{ file: leadHandover, find: 'this.#nextTick = this.#pauseEndTick;', replace: '' }],
  },
];
