import { describe, expect, it } from 'vitest';
import { MemoryStateStore } from '../../src/kv/memory-state-store.ts';
import { isSameCursor } from '../../src/kv/packed-rows.ts';
import type { PackedRows, SnapshotCursor, StateSnapshot, StateStore } from '../../src/kv/state-store.ts';
import { StateTransfer } from '../../src/replica/catch-up/state-transfer.ts';
import { defaultReplicaSettings, type ReplicaSettings } from '../../src/replica/settings.ts';
import type { PeerPayload, StateChunk, StateRequest } from '../../src/wire/peer-message.ts';

const index = 500;
const fast = 1;
const slow = 2;

describe('the rows of a snapshot from several donors', () => {
  it('are installed in their order, though they come in another', () => {
    const { transfer, donor, installed } = begin(60);
    const requests = ask(transfer, [fast, slow]);
    expect(requests.length).toBeGreaterThan(8);
    const [first, ...others] = requests;
    for (const { to, request } of others.toReversed()) transfer.onChunk(to, donor(request));
    expect(transfer.install()).toBeUndefined();
    expect(installed(), 'the first rows are not here').toEqual([]);
    if (first) transfer.onChunk(first.to, donor(first.request));
    expect(transfer.install()).toBeUndefined();
    expect(installed().length).toBe(60);
    expect(installed()).toEqual(installed().toSorted());
    expect(transfer.isComplete).toBe(true);
  });

  it('who gave rows with a wrong checksum is named when they are due, and somebody else is asked for them', () => {
    const { transfer, donor, installed } = begin(60);
    const [first, ...others] = ask(transfer, [fast, slow]);
    for (const { to, request } of others) transfer.onChunk(to, donor(request));
    if (first) transfer.onChunk(slow, damaged(donor(first.request)));
    expect(transfer.install()).toBe(slow);
    expect(installed()).toEqual([]);
    const [again, ...more] = ask(transfer, [fast]);
    expect(more, 'all others wait here').toEqual([]);
    expect(again?.request.after).toBeUndefined();
    if (again) transfer.onChunk(fast, donor(again.request));
    expect(transfer.install()).toBeUndefined();
    expect(installed().length).toBe(60);
  });

  it('while much waits for the first rows only those are asked for, of another donor when the first one is late', () => {
    const valueBytes = 1024 * 1024;
    const { transfer, donor, installed } = begin(40, { catchUpBytesMax: valueBytes }, valueBytes);
    const [first] = ask(transfer, [slow], 1);
    let held = 0;
    for (let asked = ask(transfer, [fast], 8); asked.length > 0; asked = ask(transfer, [fast], 8)) {
      for (const { to, request } of asked) if (transfer.onChunk(to, donor(request)) === 'taken') held++;
    }
    expect(held, 'bounded by 16 MiB and what was under way').toBeLessThan(32);
    expect(held).toBeGreaterThanOrEqual(16);
    expect(installed()).toEqual([]);
    for (let tick = 0; tick < defaultReplicaSettings.donorTimeoutTicks / 2; tick++)
      transfer.tick(() => defaultReplicaSettings.donorTimeoutTicks);
    const [again] = ask(transfer, [fast], 1);
    expect(again?.request).toEqual(first?.request);
    if (again) transfer.onChunk(fast, donor(again.request));
    expect(transfer.install()).toBeUndefined();
    expect(installed().length).toBeGreaterThan(held);
    expect(ask(transfer, [fast]).length, 'and it goes on').toBeGreaterThan(0);
  });
});

/** A snapshot of `rows` pairs that two donors hold, and a newcomer that has just begun to pull it. */
function begin(rows: number, settings: Partial<ReplicaSettings> = { catchUpBytesMax: 200 }, valueBytes = 10) {
  const source = new MemoryStateStore();
  for (let at = 0; at < rows; at++) source.put(`key-${1000 + at}`, new Uint8Array(valueBytes), at + 1);
  const snapshot = source.openSnapshotAt(index, []);
  const { store, keys } = recording(new MemoryStateStore());
  const offer = { type: 'SnapshotOffer', index, isHeld: true, appliedIndex: index, ...snapshot.size } as const;
  const all = { ...defaultReplicaSettings, ...settings };
  const transfer = new StateTransfer(offer, store, all);
  for (const holder of [fast, slow]) transfer.holders.add(holder);
  cutAll(transfer, snapshot);
  const donor = ({ after, upTo }: StateRequest): StateChunk => {
    const chunk = snapshot.readPacked({ after, upTo }, all.catchUpBytesMax);
    return { type: 'StateChunk', index, after, upTo, chunk };
  };
  return { transfer, donor, installed: () => keys };
}

function cutAll(transfer: StateTransfer, snapshot: StateSnapshot): void {
  for (let payload = transfer.next(fast); payload?.type === 'CutsRequest'; payload = transfer.next(fast)) {
    const { after, rowsPerCut } = payload;
    transfer.onCuts({ type: 'Cuts', index, after, ...snapshot.cuts(after, rowsPerCut, 16_384) });
  }
  // What the last call asked for is asked for again.
  transfer.forget(fast);
}

/** All that is asked for now, of donors in turn. */
function ask(transfer: StateTransfer, donors: readonly number[], most = 500) {
  const requests: { readonly to: number; readonly request: StateRequest }[] = [];
  for (let at = 0; requests.length < most; at++) {
    const to = donors[at % donors.length] as number;
    const payload: PeerPayload | undefined = transfer.next(to);
    if (payload === undefined) return requests;
    if (payload.type !== 'StateRequest') throw new Error(`asked for ${payload.type}`);
    requests.push({ to, request: payload });
  }
  return requests;
}

/** A store that tells which keys were installed, in the order in which they were. */
function recording(inner: MemoryStateStore): { readonly store: StateStore; readonly keys: string[] } {
  const keys: string[] = [];
  const store = Object.create(inner, {
    beginInstall: { value: (at?: number) => inner.beginInstall(at) },
    installBacklogBytes: { get: () => 0 },
    installPacked: {
      value: (rows: PackedRows, frontier: SnapshotCursor | undefined) => {
        if (!inner.installPacked(rows, frontier)) return false;
        const text = Buffer.from(rows.bytes).toString('latin1');
        keys.push(...(text.match(/key-\d{4}/g) ?? []));
        return true;
      },
    },
    installProgress: { get: () => undefined },
  }) as StateStore;
  return { store, keys };
}

function damaged(message: StateChunk): StateChunk {
  const { chunk } = message;
  if (!chunk || isSameCursor(chunk.last, message.after)) throw new Error('there are no rows to damage');
  return { ...message, chunk: { ...chunk, rows: { ...chunk.rows, checksum: chunk.rows.checksum ^ 1 } } };
}
