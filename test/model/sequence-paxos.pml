/*
 * Sequence Paxos as src/omnipaxos has it, for the model checker Spin. README.md beside this file says what is modelled,
 * what is left out and why that is allowed, and how to run it. Each rule names the code it follows.
 *
 * Bounds are given with -D: NODES, BALLOTS (at most 3), ENTRIES (longest log, at most 3), CRASHES, CATCH_UP, the quorums.
 */
#ifndef NODES
#define NODES 3
#endif
#ifndef BALLOTS
#define BALLOTS 2
#endif
#ifndef ENTRIES
#define ENTRIES 2
#endif
#ifndef CRASHES
#define CRASHES 0
#endif
#ifndef CATCH_UP
#define CATCH_UP 0
#endif
/* Who may crash; every node if CRASHER is not given. A slow disk of a node that never crashes (any more) is like a slow
   network, so it is left out. */
#if CRASHES == 0
#define MAY_CRASH(i) 0
#else
#ifdef CRASHER
#define MAY_CRASH(i) (i == CRASHER && crashesLeft > 0)
#else
#define MAY_CRASH(i) (crashesLeft > 0)
#endif
#endif
/* Whether a node answers Prepare again while it is in an accept session (Follower.answerPrepare). */
#ifndef REPREPARE
#define REPREPARE 0
#endif
#ifndef PREPARE_QUORUM
#define PREPARE_QUORUM (NODES / 2 + 1)
#endif
#ifndef ACCEPT_QUORUM
#define ACCEPT_QUORUM (NODES / 2 + 1)
#endif
#ifndef MESSAGES
#define MESSAGES 24
#endif
/* Who owns ballot 3: a third node, or the owner of ballot 1 once more. Ballot 1 belongs to node 0, ballot 2 to node 1. */
#ifndef OWNER_3
#define OWNER_3 2
#endif
#define OWNER(b) ((b) == 3 -> OWNER_3 : (b) - 1)

/* A log is a number: three bits for each entry, the first one lowest. 0: none; b: a normal entry; 4 + b: a StopSign, both
   proposed by the leader of ballot b. So every leader proposes what nobody else does. */
#define HEAD(log, to) ((log) & ((1 << (3 * (to))) - 1))
#define TAIL(log, from_) ((log) & ~((1 << (3 * (from_))) - 1))
#define LENGTH(log) (((log) > 0) + ((log) > 7) + ((log) > 63))
#define IS_STOPPED(log) (((log) & 292) != 0)
#define MIN(a, b) ((a) < (b) -> (a) : (b))
#define MAX(a, b) ((a) > (b) -> (a) : (b))

/* Messages, packed into an int. They are never taken out: each may come late, twice, or not at all. */
#define PREPARE 1
#define PROMISE 2
#define ACCEPT_SYNC 3
#define TYPE(x) ((x) & 3)
#define BALLOT(x) (((x) >> 2) & 3)
#define PEER(x) (((x) >> 4) & 7) /* who promises, who is to sync */
#define ROUND(x) (((x) >> 7) & 3) /* accepted round of the sender */
#define INDEX(x) (((x) >> 9) & 3) /* accepted index of the sender */
#define DECIDED(x) (((x) >> 11) & 3)
#define FROM(x) (((x) >> 13) & 3) /* index of the first entry of LOG */
#define LOG(x) (((x) >> 15) & 511)
#define MESSAGE(t, b, p, r, i, d, f, l) \
  ((t) | ((b) << 2) | ((p) << 4) | ((r) << 7) | ((i) << 9) | ((d) << 11) | ((f) << 13) | ((l) << 15))

/* Roles. A follower in any phase but `accept` is FOLLOWER: those phases differ in what they ask for, not in what they take. */
#define FOLLOWER 0
#define ACCEPTING 1 /* a follower in an accept session */
#define PREPARING 2
#define LEADING 3 /* a leader in its accept phase */

/* What a node knows. */
byte promised[NODES];
byte round[NODES];
short log[NODES];
byte decided[NODES];
byte durableIndex[NODES]; /* Log.durableIndex: on disk in the accepted round */
byte role[NODES];
/* Leader: the position that was adopted, who promised so far, the newest promise so far. */
byte adoptedRound[NODES];
byte adoptedIndex[NODES];
byte adoptedDecided[NODES];
byte promisers[NODES];
int newest[NODES];

#if CRASHES > 0
/* What its disk has, and the message in the outbox that waits for the disk. */
byte diskPromised[NODES];
byte diskRound[NODES];
short diskLog[NODES];
byte diskDecided[NODES];
int waiting[NODES];
byte crashesLeft = CRASHES;
#define SURE_PROMISE(i) (MAY_CRASH(i) -> diskPromised[i] : promised[i])
#define IS_CLEAN(i) (diskPromised[i] == promised[i] && diskRound[i] == round[i] && diskLog[i] == log[i] && \
  diskDecided[i] == decided[i] && durableIndex[i] == LENGTH(log[i]))
#else
#define SURE_PROMISE(i) promised[i]
#endif

/* The network. */
int net[MESSAGES];
byte netSize;
int message; /* being delivered */
/* By ballot: the log that its leader sent by AcceptDecide (any prefix may have come), and its decided index. */
short leaderLog[BALLOTS + 1];
byte leaderDecided[BALLOTS + 1];
/* Accepted: the highest index that a node reported under a ballot (owner's own vote is not in it). */
byte reported[(BALLOTS + 1) * NODES];
#define REPORTED(b, i) reported[(b) * NODES + (i)]

/* For the properties only: the decided sequence, the ballot in which each entry was decided, which ballots adopted a log. */
short chosen;
byte chosenIn[ENTRIES];
byte adopters;

/* Scratch: dead between two steps. */
hidden byte k, j, n, from, keep, votes, at;
hidden short suffix, before;
hidden int x;

inline send(m) {
  x = m;
  k = 0;
  do
  :: k < netSize && net[k] < x -> k++
  :: else -> break
  od;
  if
  :: k < netSize && net[k] == x -> skip
  :: else ->
    assert(netSize < MESSAGES); /* else the bound MESSAGES is too small */
    j = netSize;
    do
    :: j > k -> net[j] = net[j - 1]; j--
    :: else -> break
    od;
    net[k] = x;
    netSize++
  fi
}

/* A ballot whose leader has promised higher, or crashed after its own promise was on disk, has no leader ever again. */
#ifdef REUSE_BALLOT
#define HAS_NO_LEADER(b) (SURE_PROMISE(OWNER(b)) > (b))
#else
#define HAS_NO_LEADER(b) (SURE_PROMISE(OWNER(b)) > (b) || (SURE_PROMISE(OWNER(b)) == (b) && role[OWNER(b)] < PREPARING))
#endif
#define IS_DEAD(m) ((TYPE(m) == PROMISE && HAS_NO_LEADER(BALLOT(m))) || \
  (TYPE(m) == ACCEPT_SYNC && SURE_PROMISE(PEER(m)) > BALLOT(m)))

/* Forgets messages that nobody can ever take again: fewer states, no other behaviour. */
inline forgetDead() {
  j = 0;
  k = 0;
  do
  :: k < netSize ->
    if
    :: IS_DEAD(net[k]) -> skip
    :: else -> net[j] = net[k]; j++
    fi;
    k++
  :: else -> break
  od;
  k = j;
  do
  :: k < netSize -> net[k] = 0; k++
  :: else -> break
  od;
  netSize = j;
  n = 1;
  do
  :: n <= BALLOTS ->
    if
    :: HAS_NO_LEADER(n) ->
      k = 0;
      do
      :: k < NODES -> REPORTED(n, k) = 0; k++
      :: else -> break
      od
    :: else -> skip
    fi;
    n++
  :: else -> break
  od;
  k = 0; j = 0; n = 0; from = 0; keep = 0; votes = 0; at = 0; suffix = 0; before = 0; x = 0; message = 0
}

/* What must hold of node i after every change of its log or decided index. */
inline check(i) {
  assert(decided[i] <= LENGTH(log[i]));
  /* Nothing follows a StopSign. */
  assert(!((log[i] & 4) != 0 && LENGTH(log[i]) > 1) && !((log[i] & 32) != 0 && LENGTH(log[i]) > 2));
  /* Nobody decides what was not decided, and nothing decided is ever another thing elsewhere, or later. */
  assert(decided[i] <= LENGTH(chosen));
  assert(HEAD(log[i], decided[i]) == HEAD(chosen, decided[i]));
  /* One log per ballot: whoever accepted in it has a prefix of what its leader wrote. What is decided may have come by
     catch-up from a later ballot (sync.ts). */
  if
  :: round[i] > 0 ->
    assert(LENGTH(log[i]) <= LENGTH(leaderLog[round[i]]) || decided[i] == LENGTH(log[i]));
    at = MIN(LENGTH(log[i]), LENGTH(leaderLog[round[i]]));
    assert(TAIL(HEAD(log[i], at), decided[i]) == TAIL(HEAD(leaderLog[round[i]], at), decided[i]))
  :: else -> skip
  fi
}

/* A leader has, in ballot b, what lower ballots decided: checked when it adopts and when they decide. */
inline checkAdopted(b) {
  if
  :: (adopters & (1 << b)) != 0 ->
    at = 0;
    do
    :: at < LENGTH(chosen) ->
      assert(chosenIn[at] >= b || HEAD(leaderLog[b], at + 1) == HEAD(chosen, at + 1));
      at++
    :: else -> break
    od
  :: else -> skip
  fi
}

/* The log of a leader only grows within its ballot. */
inline publish(i) {
  before = leaderLog[promised[i]];
  assert(HEAD(log[i], LENGTH(before)) == before);
  leaderLog[promised[i]] = log[i]
}

/* The disk has finished all that was staged: the outbox lets go, the follower reports (Outbox.take, Follower.report). */
inline flush(i) {
  durableIndex[i] = LENGTH(log[i]);
#if CRASHES > 0
  if
  :: MAY_CRASH(i) ->
    diskPromised[i] = promised[i];
    diskRound[i] = round[i];
    diskLog[i] = log[i];
    diskDecided[i] = decided[i]
  :: else -> skip
  fi;
  if
  :: waiting[i] != 0 -> send(waiting[i]); waiting[i] = 0
  :: else -> skip
  fi;
#endif
  report(i, durableIndex[i])
}

inline report(i, upTo) {
  if
  :: role[i] == ACCEPTING && REPORTED(promised[i], i) < upTo -> REPORTED(promised[i], i) = upTo
  :: else -> skip
  fi
}

/* A write is staged; on the disk of a node that never crashes it is durable at once. */
inline written(i) {
#ifdef ACCEPTED_BEFORE_FLUSH
  report(i, LENGTH(log[i]));
#endif
  if
  :: MAY_CRASH(i) -> skip
  :: else -> flush(i)
  fi
}

/* Outbox.sendAfter, for a message that depends on the last write. */
inline sendWhenDurable(i, m) {
#if CRASHES == 0
  send(m)
#else
  if
#ifdef PROMISE_BEFORE_FLUSH
  :: true -> send(m)
#else
  :: !MAY_CRASH(i) || IS_CLEAN(i) -> send(m)
  :: else ->
    if
    :: waiting[i] == 0 -> waiting[i] = m
    :: else -> skip
    fi
#endif
  fi
#endif
}

inline leaveRole(i) {
  role[i] = FOLLOWER;
  adoptedRound[i] = 0;
  adoptedIndex[i] = 0;
  adoptedDecided[i] = 0;
  promisers[i] = 0;
  newest[i] = 0
}

/* Log.synchronize: from index `from` on, the log is `suffix`. */
inline synchronize(i, b, decidedThere) {
#ifdef SYNC_SHORTENS
  keep = MAX(from, decided[i]);
#else
  keep = (round[i] == b -> LENGTH(log[i]) : from);
  keep = MAX(keep, decided[i]);
#endif
  assert(from <= LENGTH(log[i]) && keep <= LENGTH(log[i]));
  if
  :: IS_STOPPED(HEAD(log[i], decided[i])) -> suffix = 0
  :: else -> suffix = TAIL(suffix, keep)
  fi;
#ifdef KEEP_TAIL
  before = HEAD(log[i], keep) | suffix;
  log[i] = before | TAIL(log[i], LENGTH(before));
#else
  log[i] = HEAD(log[i], keep) | suffix;
#endif
  round[i] = b;
  n = MAX(decidedThere, decided[i]);
  decided[i] = MIN(n, LENGTH(log[i]));
  durableIndex[i] = 0
}

/* OmniPaxos.handleLeader, with a ballot of its own. One that it has promised is never led again. */
#ifdef REUSE_BALLOT
#define MAY_START(i, b) (OWNER(b) == i && (b > promised[i] || (b == promised[i] && role[i] < PREPARING)))
#else
#define MAY_START(i, b) (OWNER(b) == i && b > promised[i])
#endif
#define PREPARE_OF(i) MESSAGE(PREPARE, promised[i], i, round[i], LENGTH(log[i]), decided[i], 0, 0)

inline start(i, b) {
  leaveRole(i);
  promised[i] = b;
  role[i] = PREPARING;
#if CRASHES > 0
  waiting[i] = 0;
#endif
  sendWhenDurable(i, PREPARE_OF(i));
#if PREPARE_QUORUM == 1
  adopt(i);
#endif
  written(i)
}

/* comparePositions: the newer log is that of the higher round, then the longer one. */
#ifdef ADOPT_BY_LENGTH
#define IS_NEWER(r1, i1, r2, i2) (i1 > i2)
#else
#define IS_NEWER(r1, i1, r2, i2) (r1 > r2 || (r1 == r2 && i1 > i2))
#endif

/* OmniPaxos.#onPrepare, Follower.answerPrepare, promiseSuffixFrom. */
#define TAKES_PREPARE(i, m) (TYPE(m) == PREPARE && PEER(m) != i && \
  (BALLOT(m) > promised[i] || (BALLOT(m) == promised[i] && role[i] <= REPREPARE)))

inline onPrepare(i) {
  if
  :: BALLOT(message) > promised[i] ->
    promised[i] = BALLOT(message);
    leaveRole(i);
#if CRASHES > 0
    waiting[i] = 0
#endif
  :: else -> skip
  fi;
  from = LENGTH(log[i]);
  if
  :: IS_NEWER(round[i], from, ROUND(message), INDEX(message)) ->
    n = (round[i] == ROUND(message) && decided[i] <= DECIDED(message) -> INDEX(message) : DECIDED(message));
    from = MIN(n, from)
  :: else -> skip
  fi;
  sendWhenDurable(i, MESSAGE(PROMISE, promised[i], i, round[i], LENGTH(log[i]), decided[i], from, TAIL(log[i], from)));
  written(i)
}

/* Leader.onPromise. In the accept phase it opens a session; before it, a quorum of promises lets the leader adopt. */
#define IN_SESSION(i, b) (role[i] == ACCEPTING && promised[i] == b)
#define TAKES_PROMISE(i, m) (TYPE(m) == PROMISE && BALLOT(m) == promised[i] && \
  (role[i] == PREPARING || (role[i] == LEADING && (REPREPARE || !IN_SESSION(PEER(m), promised[i])))))

inline onPromise(i) {
  if
  :: role[i] == PREPARING ->
    promisers[i] = promisers[i] | (1 << PEER(message));
    if
    :: newest[i] == 0 || IS_NEWER(ROUND(message), INDEX(message), ROUND(newest[i]), INDEX(newest[i])) ->
      newest[i] = message
    :: else -> skip
    fi;
    votes = 1 + (promisers[i] & 1) + ((promisers[i] >> 1) & 1) + ((promisers[i] >> 2) & 1) + ((promisers[i] >> 3) & 1) +
      ((promisers[i] >> 4) & 1);
    if
    :: votes >= PREPARE_QUORUM -> adopt(i); written(i)
    :: else -> skip
    fi
  :: else -> skip
  fi;
  if
  :: role[i] == LEADING -> syncFollower(i)
  :: else -> skip
  fi
}

/* Leader.#adopt: the newest log of the quorum, its own if none is newer. */
inline adopt(i) {
  if
  :: newest[i] != 0 && IS_NEWER(ROUND(newest[i]), INDEX(newest[i]), round[i], LENGTH(log[i])) ->
    adoptedRound[i] = ROUND(newest[i]);
    adoptedIndex[i] = INDEX(newest[i]);
    from = FROM(newest[i]);
    suffix = LOG(newest[i]);
    votes = DECIDED(newest[i])
  :: else ->
    adoptedRound[i] = round[i];
    adoptedIndex[i] = LENGTH(log[i]);
    from = LENGTH(log[i]);
    suffix = 0;
    votes = decided[i]
  fi;
  synchronize(i, promised[i], votes);
  adoptedDecided[i] = decided[i];
  role[i] = LEADING;
  promisers[i] = 0;
  newest[i] = 0;
  publish(i);
  adopters = adopters | (1 << promised[i]);
  check(i);
  checkAdopted(promised[i]);
  if
  :: decided[i] > leaderDecided[promised[i]] -> leaderDecided[promised[i]] = decided[i]
  :: else -> skip
  fi
}

/* Leader.#sync and acceptSyncIndex: where the follower's log meets the leader's for certain. */
inline syncFollower(i) {
  if
  :: ROUND(message) == promised[i] -> from = INDEX(message)
#ifdef SYNC_IGNORES_ROUND
  :: ROUND(message) != promised[i] ->
#else
  :: ROUND(message) != promised[i] && ROUND(message) == adoptedRound[i] && DECIDED(message) >= adoptedDecided[i] ->
#endif
#ifdef NO_MIN
    from = INDEX(message)
#else
    n = MIN(INDEX(message), adoptedIndex[i]);
    from = MAX(DECIDED(message), n)
#endif
  :: else -> from = DECIDED(message)
  fi;
  if
  :: from > LENGTH(log[i]) -> skip /* it caught up on what a higher ballot decided */
  :: else -> send(MESSAGE(ACCEPT_SYNC, promised[i], PEER(message), 0, 0, 0, from, TAIL(log[i], from)))
  fi
}

/* Follower.onAcceptSync. One that would leave a gap is refused. */
#define TAKES_SYNC(i, m) (TYPE(m) == ACCEPT_SYNC && PEER(m) == i && BALLOT(m) == promised[i] && role[i] < PREPARING && \
  FROM(m) <= LENGTH(log[i]))

inline onAcceptSync(i) {
#ifdef SEEK_REPLACED_STOPSIGN
  assert(!(IS_STOPPED(log[i]) && LENGTH(LOG(message)) > 0 && FROM(message) < LENGTH(log[i]) && \
    TAIL(LOG(message), FROM(message)) != TAIL(log[i], FROM(message))));
#endif
  from = FROM(message);
  suffix = LOG(message);
  synchronize(i, BALLOT(message), 0);
  role[i] = ACCEPTING;
  check(i);
  written(i)
}

/* Leader.acceptProposals, Log.append: nothing after a StopSign. */
#ifdef APPEND_AFTER_STOPSIGN
#define MAY_APPEND(i) (role[i] == LEADING && LENGTH(log[i]) < ENTRIES)
#else
#define MAY_APPEND(i) (role[i] == LEADING && LENGTH(log[i]) < ENTRIES && !IS_STOPPED(log[i]))
#endif

inline append(i, entry) {
  log[i] = log[i] | ((entry) << (3 * LENGTH(log[i])));
  publish(i);
  check(i);
  written(i)
}

/* Follower.onAcceptDecide, entry by entry: what the leader has next. Behind a decided StopSign nothing is taken. */
#define MAY_ACCEPT(i) (role[i] == ACCEPTING && LENGTH(log[i]) < LENGTH(leaderLog[promised[i]]) && \
  !IS_STOPPED(HEAD(log[i], decided[i])))

inline acceptNext(i) {
  assert(!IS_STOPPED(log[i])); /* Log.#stageAppend */
  at = LENGTH(log[i]);
  log[i] = log[i] | TAIL(HEAD(leaderLog[promised[i]], at + 1), at);
  check(i);
  written(i)
}

/* Follower.onDecide and the decided index in AcceptDecide and AcceptSync: never past the accepted index. */
#define MAY_FOLLOW_DECIDED(i) (role[i] == ACCEPTING && decided[i] < leaderDecided[promised[i]] && decided[i] < LENGTH(log[i]))

inline followDecided(i) {
  decided[i]++;
  check(i);
#ifdef SEEK_HANDOVER
  assert(!(decided[2] == 2 && chosenIn[0] == 1 && chosenIn[1] == 2));
#endif
#ifdef SEEK_CRASHED_LEADER
  assert(!(crashesLeft == 0 && i == 0 && promised[0] == 2 && (adopters & 2) != 0));
#endif
  written(i)
}

/* Leader.advanceDecided: an accept quorum has the next index on disk, the leader's own disk counted like any other. */
#ifdef QUORUM_LESS_ONE
#define DECIDING_VOTES (ACCEPT_QUORUM - 1)
#else
#define DECIDING_VOTES ACCEPT_QUORUM
#endif
#ifdef OWN_VOTE_BEFORE_FLUSH
#define OWN_INDEX(i) LENGTH(log[i])
#else
#define OWN_INDEX(i) durableIndex[i]
#endif
#define VOTE(i, v) (v < NODES && v != i && REPORTED(promised[i], v % NODES) > decided[i])
#define MAY_DECIDE(i) (role[i] == LEADING && decided[i] < LENGTH(log[i]) && \
  (OWN_INDEX(i) > decided[i]) + VOTE(i, 0) + VOTE(i, 1) + VOTE(i, 2) + VOTE(i, 3) + VOTE(i, 4) >= DECIDING_VOTES)

inline decide(i) {
  decided[i]++;
  if
  :: decided[i] > LENGTH(chosen) ->
    chosenIn[decided[i] - 1] = promised[i];
    chosen = HEAD(log[i], decided[i])
  :: else -> skip
  fi;
  if
  :: decided[i] > leaderDecided[promised[i]] -> leaderDecided[promised[i]] = decided[i]
  :: else -> skip
  fi;
  check(i);
  /* Not properties: what a run must be able to reach, lest all that holds should hold of nothing. */
#ifdef SEEK_STOPSIGN
  assert(!(LENGTH(chosen) == 2 && IS_STOPPED(chosen)));
#endif
  n = 1;
  do
  :: n <= BALLOTS -> checkAdopted(n); n++
  :: else -> break
  od;
  written(i)
}

/* Log.installDecided, entry by entry: from any node that knows it decided; a leader in its accept phase takes none. */
#define HAS_NEXT_DECIDED(i, v) (v < NODES && decided[v % NODES] > decided[i])
#define MAY_CATCH_UP(i) (role[i] != LEADING && \
  (HAS_NEXT_DECIDED(i, 0) || HAS_NEXT_DECIDED(i, 1) || HAS_NEXT_DECIDED(i, 2) || HAS_NEXT_DECIDED(i, 3) || \
  HAS_NEXT_DECIDED(i, 4)))

inline catchUp(i) {
  /* All donors have the same: that is asserted wherever one decides. */
  at = decided[i];
  suffix = TAIL(HEAD(chosen, at + 1), at);
  if
  :: IS_STOPPED(suffix) -> log[i] = HEAD(log[i], at) | suffix
  :: else -> log[i] = HEAD(log[i], at) | suffix | TAIL(log[i], at + 1)
  fi;
  decided[i] = at + 1;
  durableIndex[i] = 0;
  check(i);
  written(i)
}

/* Back from the disk: what was not flushed is gone, and so is every role (the OmniPaxos constructor). */
#if CRASHES > 0
inline crash(i) {
#ifdef SEEK_LOST_ENTRY
  assert(!(role[i] == LEADING && LENGTH(diskLog[i]) < LENGTH(log[i]) && diskRound[i] == round[i]));
#endif
  crashesLeft--;
  leaveRole(i);
  waiting[i] = 0;
  promised[i] = diskPromised[i];
  round[i] = diskRound[i];
  log[i] = diskLog[i];
  decided[i] = diskDecided[i];
  durableIndex[i] = LENGTH(log[i]);
  n = 0;
  do
  :: crashesLeft == 0 && n < NODES ->
    /* That was the last crash: from now on every disk is up to date. */
    flush(n);
    diskPromised[n] = 0;
    diskRound[n] = 0;
    diskLog[n] = 0;
    diskDecided[n] = 0;
    n++
  :: else -> break
  od
}
#endif

#define TAKES(i, m) (TAKES_PREPARE(i, m) || TAKES_PROMISE(i, m) || TAKES_SYNC(i, m))
#define DELIVER(slot) :: slot < netSize && TAKES(me, net[slot]) -> message = net[slot]

active [NODES] proctype Node() {
  byte me = _pid;
  do
  :: d_step { MAY_START(me, 1) -> printf("node %d starts ballot 1\n", me); start(me, 1); forgetDead() }
#if BALLOTS > 1
  :: d_step { MAY_START(me, 2) -> printf("node %d starts ballot 2\n", me); start(me, 2); forgetDead() }
#endif
#if BALLOTS > 2
  :: d_step { MAY_START(me, 3) -> printf("node %d starts ballot 3\n", me); start(me, 3); forgetDead() }
#endif
  :: d_step { MAY_APPEND(me) -> printf("node %d appends an entry\n", me); append(me, promised[me]); forgetDead() }
  :: d_step { MAY_APPEND(me) -> printf("node %d appends a StopSign\n", me); append(me, 4 + promised[me]); forgetDead() }
  :: d_step { MAY_ACCEPT(me) -> printf("node %d accepts the next entry\n", me); acceptNext(me); forgetDead() }
  :: d_step { MAY_FOLLOW_DECIDED(me) ->
      printf("node %d learns that index %d is decided\n", me, decided[me]); followDecided(me); forgetDead() }
  :: d_step { MAY_DECIDE(me) ->
      printf("node %d, leader, decides index %d\n", me, decided[me]); decide(me); forgetDead() }
#if CATCH_UP
  :: d_step { MAY_CATCH_UP(me) ->
      printf("node %d catches up on index %d\n", me, decided[me]); catchUp(me); forgetDead() }
  /* Leader.onCaughtUp: asks again with what it knows now. */
  :: d_step { role[me] == PREPARING && SURE_PROMISE(me) == promised[me] -> send(PREPARE_OF(me)); forgetDead() }
#endif
#if CRASHES > 0
  :: d_step { MAY_CRASH(me) && (!IS_CLEAN(me) || waiting[me] != 0) ->
      printf("node %d: flushed\n", me); flush(me); forgetDead() }
  :: d_step { MAY_CRASH(me) && (role[me] != FOLLOWER || !IS_CLEAN(me)) ->
      printf("node %d crashes\n", me); crash(me); forgetDead() }
#endif
  :: atomic {
      if
      DELIVER(0) DELIVER(1) DELIVER(2) DELIVER(3) DELIVER(4) DELIVER(5) DELIVER(6) DELIVER(7)
      DELIVER(8) DELIVER(9) DELIVER(10) DELIVER(11) DELIVER(12) DELIVER(13) DELIVER(14) DELIVER(15)
      DELIVER(16) DELIVER(17) DELIVER(18) DELIVER(19) DELIVER(20) DELIVER(21) DELIVER(22) DELIVER(23)
#if MESSAGES > 24
      DELIVER(24) DELIVER(25) DELIVER(26) DELIVER(27) DELIVER(28) DELIVER(29) DELIVER(30) DELIVER(31)
#endif
      fi;
      d_step {
        printf("node %d gets message type %d of ballot %d (peer %d, round %d, index %d, decided %d, from %d)\n", me, TYPE(message),
          BALLOT(message), PEER(message), ROUND(message), INDEX(message), DECIDED(message), FROM(message));
        if
        :: TYPE(message) == PREPARE -> onPrepare(me)
        :: TYPE(message) == PROMISE -> onPromise(me)
        :: TYPE(message) == ACCEPT_SYNC -> onAcceptSync(me)
        fi;
        forgetDead()
      }
    }
  od
}
