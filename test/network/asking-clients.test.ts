import { beforeEach, describe, expect, it } from 'vitest';
import { AskingClients } from '../../src/network/asking-clients.ts';
import type { ClientConnection } from '../../src/network/client-connection.ts';
import type { ReplicaEvent } from '../../src/replica/events.ts';
import { type ClientRequest, type ClientResponse, type NodeStatus, newsId } from '../../src/wire/client-message.ts';

const request: ClientRequest = { id: 9, timeoutMs: 1000, type: 'status' };

class FakeConnection {
  bufferedBytes = 0;
  readonly sent: ClientResponse[] = [];
  readonly id: number;

  constructor(id: number) {
    this.id = id;
  }

  send(responses: readonly ClientResponse[]): void {
    this.sent.push(...responses);
  }
}

describe('AskingClients', () => {
  let events: ReplicaEvent[];
  let isInboxFull: boolean;
  let isTight: boolean;
  let clients: AskingClients;

  beforeEach(() => {
    events = [];
    isInboxFull = false;
    isTight = false;
    clients = new AskingClients({ isTight: () => isTight }, (event) => {
      if (!isInboxFull) events.push(event);
      return !isInboxFull;
    });
  });

  function connect(id: number): FakeConnection & ClientConnection {
    return new FakeConnection(id) as unknown as FakeConnection & ClientConnection;
  }

  it('tells the replica what they ask for, and of those alone that they are gone', () => {
    const asking = connect(1);
    clients.onRequests(asking, [request]);
    clients.onClosed(connect(2));
    clients.onClosed(asking);
    expect(events).toEqual([
      { type: 'requests', connection: 1, requests: [request] },
      { type: 'clientGone', connection: 1 },
    ]);
  });

  it('answers each request that finds the inbox full', () => {
    isInboxFull = true;
    const asking = connect(1);
    clients.onRequests(asking, [request, { ...request, id: 10 }]);
    expect(asking.sent).toMatchObject([
      { id: 9, code: 'busy', outcome: 'notApplied' },
      { id: 10, code: 'busy', outcome: 'notApplied' },
    ]);
  });

  it('gives none an answer that is no more there', () => {
    const [gone, staying] = [connect(1), connect(2)];
    for (const one of [gone, staying]) clients.onRequests(one, [request]);
    clients.onClosed(gone);
    const answer: ClientResponse = { id: 9, type: 'failed', code: 'busy', outcome: 'notApplied', message: '' };
    clients.answer(new Map([gone, staying].map(({ id }) => [id, [answer]])));
    expect([gone.sent, staying.sent]).toEqual([[], [answer]]);
  });

  it('holds one to be congested that has over 8 MiB to read, and each where all together have much', () => {
    const asking = connect(1);
    clients.onRequests(asking, [request]);
    asking.bufferedBytes = 8 * 1024 * 1024;
    expect(clients.isCongested(1)).toBe(false);
    asking.bufferedBytes++;
    expect([clients.isCongested(1), clients.isCongested(2)]).toEqual([true, false]);
    isTight = true;
    expect(clients.isCongested(2)).toBe(true);
  });

  it('tells them the members of each configuration once', () => {
    const asking = connect(1);
    clients.onRequests(asking, [request]);
    const status = () => ({ members: [{ address: 'a:1' }], state: 'standby' }) as unknown as NodeStatus;
    for (const configurationId of [0, 1, 1]) clients.tellMembers({ configurationId, status });
    expect(asking.sent).toEqual([{ id: newsId, type: 'members', addresses: ['a:1'], isMember: false }]);
  });
});
