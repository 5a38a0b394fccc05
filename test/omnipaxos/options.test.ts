import { expect, it } from 'vitest';
import { BallotLeaderElection, OmniPaxos } from '../../src/omnipaxos/index.ts';

const replica = (more: object) => new OmniPaxos<string>({ configurationId: 1, pid: 1, peers: [2, 3], ...more });
const election = (more: object) => new BallotLeaderElection({ configurationId: 1, pid: 1, peers: [2, 3], ...more });

it.each([
  ['configurationId is NaN', () => replica({ configurationId: Number.NaN })],
  ['startIndex is -1, it must be a whole number of at least 0', () => replica({ startIndex: -1 })],
  ['node id 0 is not a positive integer', () => replica({ pid: 0 })],
  ['resendTicks is 0', () => replica({ resendTicks: 0 })],
  ['configurationId is 1.5', () => election({ configurationId: 1.5 })],
  ['electionTimeoutTicks is 0, it must be a whole number of at least 1', () => election({ electionTimeoutTicks: 0 })],
  ['electionTimeoutTicks is NaN', () => election({ electionTimeoutTicks: Number.NaN })],
  ['the options are undefined: give { configurationId, pid, peers }', () => new OmniPaxos(undefined as never)],
  ['peers is undefined, it must be a list', () => replica({ peers: undefined })],
  ["node id '1', a text is not a positive integer", () => replica({ pid: '1' })],
  ["configurationId is '1', a text, it must be", () => replica({ configurationId: '1' })],
  ['store is none: it must have a sequence', () => replica({ store: {} })],
  ['peers is 2, it must be a list', () => election({ peers: 2 })],
  ['priority is Infinity, it must be a whole number', () => election({ priority: Number.POSITIVE_INFINITY })],
  ["priority is 'high', a text", () => election({ priority: 'high' })],
  ['paxos has no promise', () => election({ paxos: {} })],
  ['sizeOf gave undefined for an entry', () => replica({ sizeOf: () => undefined }).proposeNormal('entry')],
  ['the index to trim at is -1', () => replica({}).trim(-1)],
  ['the index of a state is -1', () => replica({}).installState(-1)],
])('%s', (message, make) => {
  expect(make).toThrow(RangeError);
  expect(make).toThrow(message);
});
