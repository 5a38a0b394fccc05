import { describe, expect, test } from 'vitest';
import { planReconfiguration } from '../../src/cli/arguments/reconfiguration-plan.ts';
import { CatchUpMeter, type CatchUpProgress } from '../../src/cli/membership/catch-up-meter.ts';
import {
  type Answer,
  apartNotes,
  type Filled,
  findProblems,
  pauseNote,
  stopAt,
} from '../../src/cli/membership/checks.ts';
import { fillNewcomers } from '../../src/cli/membership/fill-newcomers.ts';
import { describeMembers } from '../../src/cli/membership/member-list.ts';
import { progressBar } from '../../src/cli/membership/progress-bar.ts';
import { byAdding, byRemoving, byReplacing, parseNodes, toExactly } from '../../src/cli/membership/target.ts';
import type { ClusterStatus, MemberStatus } from '../../src/client/members/cluster-status.ts';
import type { CatchUpStatus, NodeStatus } from '../../src/wire/client-message.ts';

const clusterId = '00112233aabbccdd';

function member(id: number, changes: Partial<MemberStatus> = {}): MemberStatus {
  return {
    ...{ id, address: `h:${id}`, role: 'follower', decidedIndex: 9, appliedIndex: 9, isMember: true, state: 'member' },
    ...{ configurationId: 1, lag: 0, hasOtherDirectory: false, trimmedIndex: 0, connected: [1] },
    ...{ catchUp: undefined, logHeld: undefined },
    ...changes,
  } as MemberStatus;
}

function meterOf(ids: readonly number[], configurationId: number): CatchUpMeter {
  const meter = new CatchUpMeter();
  meter.watch(ids, configurationId);
  return meter;
}

const down: Partial<MemberStatus> = { role: 'unreachable', state: undefined, decidedIndex: undefined };

function status(...members: MemberStatus[]): ClusterStatus {
  return { clusterId, configurationId: 1, leader: 1, fullNodes: [], members, history: [] };
}

function answer(id: number, changes: Partial<NodeStatus> = {}): Answer {
  const told: NodeStatus = {
    ...{
      clusterId: undefined,
      nodeId: id,
      address: `h:${id}`,
      state: 'standby',
      configurationId: 0,
      leader: undefined,
    },
    ...{ decidedIndex: 0, appliedIndex: 0, members: [], storageId: `d${id}`, trimmedIndex: 0, connected: [1] },
    ...{ disk: { flushP50Ms: undefined, flushP99Ms: undefined, flushes: 0 }, fullNodes: [] },
    ...changes,
  };
  return { id, address: `h:${id}`, status: told, reason: undefined, isNoNode: false };
}

function silent(id: number): Answer {
  return { id, address: `h:${id}`, status: undefined, reason: 'connection refused', isNoNode: false };
}

function noNode(id: number): Answer {
  return { ...silent(id), reason: 'answers, but is not a kv node for this client (HTTP 404)', isNoNode: true };
}

/** What the checks say of `list`, in the words of their codes; unsafe ones with an exclamation mark. */
function codes(cluster: ClusterStatus, list: string, answers: readonly Answer[] = [], filled?: Filled): string[] {
  const problems = problemsOf(cluster, list, answers, filled);
  return problems.map(({ isUnsafe, code }) => (isUnsafe ? `${code}!` : code));
}

function problemsOf(cluster: ClusterStatus, list: string, answers: readonly Answer[], filled: Filled = 'before') {
  return findProblems(planReconfiguration(cluster, parseNodes([list]), unknown), cluster, answers, filled);
}

const unknown = () => undefined;

describe('a list of the members', () => {
  test.each([
    [[member(1), member(2), member(3)], '1 node of 3 may fail'],
    [[member(1), member(2), member(3, down)], '1 node of 3 may fail, and 1 takes no part: no more may'],
    [
      [member(1), member(2), member(3), member(4), member(5, { hasOtherDirectory: true })],
      '2 nodes of 5 may fail, and 1 takes no part: 1 more may',
    ],
    [
      [member(1), member(2, down), member(3, down)],
      '1 node of 3 may fail, but 2 take no part: no majority is in reach',
    ],
    [[member(1), member(2), member(3, { state: 'joining' })], '1 node of 3 may fail, and 1 takes no part: no more may'],
    [[member(1), member(2), member(3, { connected: [2] })], '1 node of 3 may fail, and 1 takes no part: no more may'],
    [
      [member(1), member(2), member(3, { configurationId: 0 })],
      '1 node of 3 may fail, and 1 takes no part: no more may',
    ],
  ])('says how many more may fail', (members, said) => {
    expect(describeMembers(status(...members))[0]).toBe(`configuration 1: ${said}`);
  });
});

describe('who the members are to be', () => {
  const present = [1, 2, 3].map((id) => ({ id, address: `h:${id}` }));
  const ids = [{ id: 1 }, { id: 2 }, { id: 3 }];

  test('adding, removing and replacing keep the rest', () => {
    expect(byAdding(parseNodes(['5', '4=h:4']))(present)).toEqual([...ids, { id: 4, address: 'h:4' }, { id: 5 }]);
    expect(byAdding(parseNodes(['5,4']))(present).map(({ id }) => id)).toEqual([1, 2, 3, 4, 5]);
    expect(byRemoving(parseNodes(['1', '3']))(present)).toEqual([{ id: 2 }]);
    expect(byReplacing([{ id: 3 }], [{ id: 4, address: 'h:4' }])(present)).toEqual([
      { id: 1 },
      { id: 2 },
      { id: 4, address: 'h:4' },
    ]);
    expect(toExactly(parseNodes(['7']))(present)).toEqual([{ id: 7 }]);
  });

  test('a command that is repeated keeps what it has made', () => {
    expect(byAdding([{ id: 3 }])(present)).toEqual(ids);
    expect(byAdding([{ id: 3, address: 'h:3' }, { id: 4 }])(present).map(({ id }) => id)).toEqual([1, 2, 3, 4]);
    expect(byReplacing([{ id: 9 }], [{ id: 3 }])(present)).toEqual(ids);
  });

  test.each([
    [
      'who is one already, elsewhere',
      () => byAdding([{ id: 3, address: 'h:4' }])(present),
      'node 3 is a member already, at h:3: kv reconfigure changes',
    ],
    [
      'who is none',
      () => byRemoving([{ id: 8 }, { id: 9 }])(present),
      'nodes 8, 9 are no members: the members are 1, 2, 3',
    ],
    ['all of them', () => byRemoving(ids)(present), 'at least one member'],
    ['in the place of a stranger', () => byReplacing([{ id: 9 }], [{ id: 4 }])(present), 'node 9 is no member'],
    ['by one who is there', () => byReplacing([{ id: 1 }], [{ id: 2 }])(present), 'node 2 is a member already'],
    ['by itself', () => byReplacing([{ id: 1 }], [{ id: 1 }]), 'node 1 cannot take its own place'],
    ['two at once', () => byReplacing(parseNodes(['1,2']), [{ id: 4 }]), 'write OLD NEW'],
    ['with an address', () => byRemoving([{ id: 1, address: 'h:1' }]), 'write its id alone'],
    ['a flag that is none', () => parseNodes(['4', '--froce']), 'there is no flag --froce'],
  ])('refused: %s', (_, run, message) => {
    expect(run).toThrow(message);
  });
});

describe('before anything is changed', () => {
  const sound = status(member(1), member(2), member(3));

  test.each([
    ['a leader that answers', status(member(1), member(2), member(3, down)), 'start it, or take it out'],
    ['no leader', { ...status(member(1), member(2), member(3, down)), leader: undefined }, 'start it'],
    [
      'others that have a link with it',
      status(member(1), member(2, { connected: [1, 3] }), member(3, down)),
      'others have a link with it, so see that it is reached from here, too',
    ],
  ])('what mends a silent member, with %s', (_, cluster, remedy) => {
    const messages = problemsOf(cluster, '1,2,3,4=h:4', [answer(4)]).map(({ message }) => message);
    expect(messages).toContain(`node 3 at h:3, which stays, does not answer: ${remedy}`);
  });

  test('nothing speaks against what is sound', () => {
    expect(codes(sound, '1,2,4=h:4', [answer(4)])).toEqual([]);
    expect(codes(sound, '1,2,4=h:4', [answer(4, { clusterId })])).toEqual([]);
    expect(codes(sound, '1,2')).toEqual([]);
    // Whoever goes may be down.
    expect(codes(status(member(1), member(2), member(3, down)), '1,2,4=h:4', [answer(4)])).toEqual([]);
    // It runs at the address that it is to be given.
    expect(codes(status(member(1), member(2), member(3, down)), '1,2,3=h:33', [answer(3, { clusterId })])).toEqual([]);
    const withDirectory = member(3, { ...down, storageId: 'd3' });
    const moved = answer(3, { clusterId, storageId: 'd3' });
    expect(codes(status(member(1), member(2), withDirectory), '1,2,3=h:33', [moved])).toEqual([]);
  });

  test.each<[string, ClusterStatus, string, Answer[], string[]]>([
    ['no leader', { ...sound, leader: undefined }, '1,2', [], ['noMajority!']],
    ['a newcomer is silent', sound, '1,2,4=h:4', [silent(4)], ['unreachable!']],
    ['something else is there', sound, '1,2,4=h:4', [noNode(4)], ['notKvNode!']],
    ['another node is there', sound, '1,2,4=h:4', [answer(4, { nodeId: 5 })], ['otherNode!']],
    ['of another cluster', sound, '1,2,4=h:4', [answer(4, { clusterId: 'ffeeddccbbaa9988' })], ['otherCluster!']],
    [
      'without space',
      sound,
      '1,2,4=h:4',
      [answer(4, { space: { level: 'full', usedBytes: 81, capacityBytes: 60 } })],
      ['noSpace'],
    ],
    ['nobody knows where', sound, '1,2,4', [], ['badInput!']],
    ['a silent one stays', status(member(1), member(2), member(3, down)), '1,2,3,4=h:4', [answer(4)], ['memberDown']],
    [
      'one without its directory stays',
      status(member(1), member(2), member(3, { hasOtherDirectory: true })),
      ...(['1,2,3,4=h:4', [answer(4)], ['memberDown']] as [string, Answer[], string[]]),
    ],
    [
      'one that is not complete',
      status(member(1), member(2), member(3, { state: 'joining' })),
      '1,2,3',
      [],
      ['memberIncomplete'],
    ],
    [
      'one that votes, and lacks as much as a new one',
      status(member(1), member(2), member(3, { catchUp: { stage: 'state' } as CatchUpStatus })),
      '1,3',
      [],
      ['memberIncomplete'],
    ],
    [
      'no majority of the next',
      status(member(1), member(2), member(3, down)),
      '1,3',
      [],
      ['noMajority!', 'memberDown'],
    ],
    [
      'one that only its own machine reaches',
      sound,
      '1,2,3,4=127.0.0.1:7004',
      [{ ...answer(4), address: '127.0.0.1:7004' }],
      ['notReachable'],
    ],
    [
      'one that joins one that was alone, on all addresses of its machine',
      status({ ...member(1), address: '0.0.0.0:7001' }),
      '1,4=h:4',
      [answer(4)],
      ['notReachable'],
    ],
    ['something else at a new address', sound, '1,2,3=h:33', [{ ...noNode(3), address: 'h:33' }], ['memberDown']],
    ['a silent new address', sound, '1,2,3=h:33', [{ ...silent(3), address: 'h:33' }], ['memberDown']],
    ['an empty directory at a new address', sound, '1,2,3=h:33', [answer(3)], ['otherDirectory!']],
    [
      'another directory of this cluster at a new address',
      status(member(1), member(2), member(3, { ...down, storageId: 'd3' })),
      '1,2,3=h:33',
      [answer(3, { clusterId, storageId: 'e3' })],
      ['otherDirectory!'],
    ],
    [
      'one of another cluster at new addresses, of most members',
      sound,
      '1,2=h:22,3=h:33',
      [answer(2, { clusterId: 'ffeeddccbbaa9988' }), answer(3)],
      ['noMajority!', 'otherCluster!', 'otherDirectory!'],
    ],
    ['somebody else at a new address', sound, '1,2,3=h:33', [answer(3, { nodeId: 8 })], ['otherNode!']],
  ])('%s', (_, cluster, list, answers, expected) => {
    expect(codes(cluster, list, answers)).toEqual(expected);
  });

  test('what answers is not told to be started', () => {
    const [problem] = problemsOf(sound, '1,2,4=h:4', [noNode(4)]);
    expect(problem?.message).toBe(
      'what listens at h:4 answers, but is not a kv node for this client (HTTP 404): ' +
        'if that is node 4, see to it; if not, start node 4 there, or give another address',
    );
  });

  test('a newcomer that was filled is to have a link with the one that leads, if that one stays', () => {
    const [cutOff, linked] = [answer(4, { connected: [2, 3] }), answer(4, { connected: [1, 2] })];
    expect(codes(sound, '1,2,4=h:4', [cutOff])).toEqual([]);
    expect(codes(sound, '1,2,4=h:4', [cutOff], 'done')).toEqual(['notLinked']);
    expect(problemsOf(sound, '1,2,4=h:4', [cutOff], 'done')[0]?.message).toContain(
      'node 4 at h:4 has no link with node 1 at h:1, which leads',
    );
    expect(codes(sound, '1,2,4=h:4', [linked], 'done')).toEqual([]);
    expect(codes(sound, '2,3,4=h:4', [cutOff], 'done')).toEqual([]);
  });

  test('a newcomer that is to get the data as a member has to have room for it', () => {
    const space = { level: 'ok', usedBytes: 1, capacityBytes: 60 } as const;
    const users = [324, 280, 360].map((usedBytes, at) => member(at + 1, { space: { ...space, usedBytes } }));
    const cluster = status(...users);
    expect(codes(cluster, '1,2,4=h:4', [answer(4, { space })]), 'else it is found out before the change').toEqual([]);
    const [problem] = problemsOf(cluster, '1,2,4=h:4', [answer(4, { space })], 'afterwards');
    expect(problem).toMatchObject({ isUnsafe: false, exit: 'overLimit', code: 'noSpace' });
    expect(problem?.message).toBe('node 4 has 60 B in all, and the data takes 70 B or more: give it more room');
    const larger = { ...space, capacityBytes: 71 };
    expect(codes(cluster, '1,2,4=h:4', [answer(4, { space: larger })], 'afterwards')).toEqual([]);
    const catchUp = { lackOfRoom: { neededBytes: 9, roomBytes: 3 } } as CatchUpStatus;
    expect(codes(sound, '1,2,4=h:4', [answer(4, { catchUp })], 'afterwards')).toEqual(['noSpace']);
    // It was filled once, and what it has may be replaced by less.
    const full = answer(4, { clusterId, space: { ...space, level: 'full' } });
    expect(codes(sound, '1,2,4=h:4', [full])).toEqual([]);
    expect(codes(sound, '1,2,4=h:4', [full], 'done')).toEqual([]);
    expect(codes(sound, '1,2,4=h:4', [full], 'afterwards')).toEqual(['noSpace']);
    expect(codes({ ...sound, fullNodes: [1] }, '1,2,4=h:4', [full], 'afterwards')).toEqual([]);
  });

  test('a newcomer whose id another node is linked with is not to be had before that one is stopped', () => {
    const cluster = status(member(1, { connected: [2, 3, 4] }), member(2), member(3));
    const [other, same] = [answer(4, { connected: [] }), answer(4, { connected: [1, 2] })];
    for (const filled of ['before', 'done'] as const) {
      expect(codes(cluster, '1,2,4=h:4', [other], filled)).toEqual(['otherNode!']);
      expect(codes(cluster, '1,2,4=h:4', [same], filled)).toEqual([]);
    }
    expect(problemsOf(cluster, '1,2,4=h:4', [other])[0]).toMatchObject({
      ...{ isUnsafe: true, message: 'another node 4 than the one at h:4 is linked with node 1: stop that one' },
    });
  });

  test('a node that a member is linked with is left to the nodes: they know its address', () => {
    expect(codes(status(member(1, { connected: [4] }), member(2), member(3)), '1,2,4')).toEqual([]);
  });

  test('--force goes on where nothing is unsafe, and tells what it goes on in spite of', () => {
    const risky = { isUnsafe: false, exit: 'conditionFailed', code: 'memberDown', message: 'node 3 is down' } as const;
    const unsafe = { isUnsafe: true, exit: 'notReached', code: 'noMajority', message: 'no majority' } as const;
    expect(stopAt([risky], true)).toEqual(['node 3 is down']);
    expect(() => stopAt([risky], false)).toThrow('node 3 is down; --force goes on all the same');
    for (const isForced of [true, false]) expect(() => stopAt([unsafe, risky], isForced)).toThrow(/^no majority/);
    expect(stopAt([], false)).toEqual([]);
  });

  test('it is told when newcomers are needed for a majority', () => {
    const one = status(member(1));
    const plan = (list: string) => planReconfiguration(one, parseNodes([list]), unknown);
    expect(pauseNote(plan('1,2=h:2,3=h:3'), one)).toContain('until 1 of those that lack data has it all');
    expect(pauseNote(plan('2=h:2,3=h:3,4=h:4'), one)).toContain('until 2 of');
    const three = planReconfiguration(sound, parseNodes(['1,2,4=h:4']), unknown);
    expect(pauseNote(three, sound)).toBeUndefined();
  });

  test('members that stay and take no part while a link is cut are told of, and do not stop a change', () => {
    const apart = status(member(1), member(2, { connected: [3] }), member(3, { configurationId: 0, connected: [2] }));
    const plan = (list: string) => planReconfiguration(apart, parseNodes([list]), unknown);
    expect(apartNotes(plan('1,2,3,4=h:4'), apart)).toEqual([
      'node 2, which stays, has no link with node 1, which leads: it takes no part until it has one',
      'node 3, which stays, has not heard of configuration 1: it takes no part until it has',
    ]);
    expect(apartNotes(plan('1,4=h:4'), apart), 'they go').toEqual([]);
    expect(apartNotes(plan('1,2,3'), status(member(1), member(2), member(3, down)))).toEqual([]);
  });
});

describe('how far newcomers are', () => {
  const mebibyte = 1024 * 1024;

  function catchingUp(received: number, total: number | undefined, decidedIndex: number): ClusterStatus {
    const catchUp: CatchUpStatus = {
      ...({ stage: 'state', bytesReceived: received * mebibyte, fromIndex: 0, targetIndex: 100 } as const),
      ...{ donors: [{ id: 1, bytes: received * mebibyte }] },
      ...(total !== undefined && { bytesTotal: total * mebibyte }),
    };
    return status(member(1), member(4, { state: 'joining', decidedIndex, catchUp }));
  }

  test('bytes, rate and time left where the total is known', () => {
    const meter = meterOf([4], 2);
    meter.measure(catchingUp(10, 50, 0), 0);
    const progress = meter.measure(catchingUp(20, 50, 0), 1000);
    expect(progress).toMatchObject({ bytesReceived: 20 * mebibyte, bytesPerSecond: 10 * mebibyte, share: 0.4 });
    expect(progress.secondsLeft).toBe(3);
    expect(progressBar(progress)).toBe(
      'node 4: state  [########------------] 40 %  3 s left  20.0 MiB of 50.0 MiB  10.0 MiB/s',
    );
  });

  test('else the log tells how far', () => {
    const meter = meterOf([4], 2);
    meter.measure(catchingUp(1, undefined, 10), 0);
    const progress = meter.measure(catchingUp(2, undefined, 30), 1000);
    expect(progress).toMatchObject({ bytesTotal: null, share: 0.3, secondsLeft: 4 });
    expect(progressBar(progress)).toBe('node 4: state  [######--------------] 30 %  4 s left  2.0 MiB  1.0 MiB/s');
  });

  test('what was received counts on when a newcomer becomes a member, and counts from nothing itself', () => {
    const meter = meterOf([4], 2);
    meter.measure(catchingUp(40, 50, 0), 0);
    expect(meter.measure(catchingUp(0, undefined, 0), 500)).toMatchObject({ bytesReceived: 40 * mebibyte, share: 0.8 });
    const again = meter.measure(catchingUp(5, 10, 0), 1000);
    expect(again).toMatchObject({ bytesReceived: 45 * mebibyte, bytesTotal: 50 * mebibyte, share: 0.9 });
    meter.watch([4, 5], 3);
    expect(meter.measure(catchingUp(5, 10, 0), 1500).newcomers[0]).toMatchObject({ bytesReceived: 45 * mebibyte });
  });

  test('one that has no room for the data stops the filling, since more does not come by waiting', async () => {
    const lackOfRoom = { neededBytes: 12 * mebibyte, roomBytes: 5 * mebibyte };
    const { members } = catchingUp(0, undefined, 0);
    const [, newcomer] = members.map((one) => one.catchUp && { ...one, catchUp: { ...one.catchUp, lackOfRoom } });
    const told = { ...newcomer, nodeId: 4 };
    const plan = planReconfiguration(status(member(1)), parseNodes(['1,4=h:4']), unknown);
    const fill = async () => [{ id: 4, address: 'h:4', isLinked: true, isFilled: false }];
    const statusOf = async () => told as never;
    const events: CatchUpProgress[] = [];
    const onProgress = (progress: CatchUpProgress) => events.push(progress);
    const filling = fillNewcomers({ fill, statusOf }, plan, {
      ...{
        timeoutMs: 1000,
        fillTimeoutMs: 60_000,
        isForced: false,
        meter: new CatchUpMeter(),
        onProgress,
        onMessage: () => {},
      },
    });
    await expect(filling).rejects.toThrow(
      'node 4 has no room for the state: it takes about 12.0 MiB, and 5.0 MiB are left: nothing was changed; give it more room',
    );
    expect(events.at(-1)?.newcomers[0]).toMatchObject({ id: 4, lackOfRoom });
  });

  test('a node is complete when it votes in that configuration, and silent ones are not', () => {
    const meter = meterOf([4, 5], 2);
    meter.measure(catchingUp(50, undefined, 99), 0);
    const now = status(member(1), member(4, { configurationId: 2 }), member(5, down));
    const { newcomers } = meter.measure(now, 100);
    expect(newcomers.map(({ isComplete }) => isComplete)).toEqual([true, false]);
    expect(newcomers[0]).toMatchObject({ bytesReceived: 50 * mebibyte, bytesTotal: 50 * mebibyte });
    expect(meter.measure(status(member(4, { configurationId: 1 })), 200).newcomers[0]?.isComplete).toBe(false);
  });
});
