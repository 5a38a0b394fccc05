import { beforeEach, expect, it } from 'vitest';
import { Recipient, type RecipientParts } from '../../src/replica/membership/recipient.ts';

const room = { roomBytes: 0, isOver: false, isWaiting: false };

/** A keeper of a checkpoint, and a catching up that has a whole state. */
class Parts {
  isCheckpointing = true;
  isWhole = true;
  isTakingState = true;
  room = room;
  readonly did: string[] = [];
  readonly recipient: Recipient;

  constructor() {
    const parts = this;
    const did = (what: string) => () => void this.did.push(what);
    const catchUp = {
      get hasWholeState() {
        return parts.isWhole;
      },
      get isTakingState() {
        return parts.isTakingState;
      },
      takeComplete: () => (parts.isWhole ? 10 : undefined),
      takeCorruptDonors: () => [],
      takeLackOfRoom: () => undefined,
      requests: (_: unknown, { isWaiting }: typeof room) => {
        if (isWaiting) parts.did.push('told that a checkpoint waits');
        return [];
      },
    };
    const keeper = {
      get isCheckpointing() {
        return parts.isCheckpointing;
      },
      hurryCheckpoint: did('hurry the checkpoint'),
      install: did('install'),
      dropHalfTaken: (upTo: number) => void this.did.push(`drop up to ${upTo}`),
    };
    const space = {
      get stateRoom() {
        return parts.room;
      },
    };
    const membership = { catchUp, configurationId: 1 };
    const others = { machine: { appliedIndex: 1 }, store: {}, peers: { ids: () => [] }, output: {} };
    this.recipient = new Recipient({ membership, keeper, space, ...others } as unknown as RecipientParts);
  }
}

let parts: Parts;
beforeEach(() => {
  parts = new Parts();
});

it('a whole state is installed behind no checkpoint, which would wait for the room that it takes', () => {
  parts.recipient.advance();
  expect(parts.did).toEqual(['hurry the checkpoint']);
  parts.isCheckpointing = false;
  parts.recipient.advance();
  expect(parts.did).toEqual(['hurry the checkpoint', 'install']);
});

it('a checkpoint is not hurried for a state that is not whole', () => {
  parts.isWhole = false;
  parts.recipient.advance();
  expect(parts.did).toEqual([]);
});

it('only a checkpoint that waits for room keeps a state from being taken', () => {
  parts.isWhole = false;
  parts.room = { ...room, isWaiting: true };
  parts.recipient.advance();
  parts.isCheckpointing = false;
  parts.recipient.advance();
  expect(parts.did).toEqual(['told that a checkpoint waits']);
});

it('rows that nobody goes on with make room for a checkpoint that waits for some', () => {
  parts.recipient.onSpace();
  parts.room = { roomBytes: 0, isOver: true, isWaiting: true };
  parts.recipient.onSpace();
  expect(parts.did).toEqual([]);
  parts.isTakingState = false;
  parts.recipient.onSpace();
  expect(parts.did).toEqual(['drop up to Infinity']);
});

it('rows that nobody can go on with make room on a full disk, though nothing waits', () => {
  parts.isTakingState = false;
  parts.recipient.onSpace();
  expect(parts.did).toEqual([]);
  parts.room = { ...room, isOver: true };
  parts.recipient.onSpace();
  expect(parts.did).toEqual(['drop up to 1']);
});
