import type { KvClient } from '../../client/client.ts';
import { KvError } from '../../client/errors.ts';
import { fillingProblem } from '../../client/filling.ts';
import type { ListedNode } from '../../cluster/node-list.ts';
import type { NodeSpace } from '../../wire/client-message.ts';
import { CommandError } from '../exit-codes.ts';
import type { ReconfigurationPlan } from '../reconfiguration-plan.ts';
import { CatchUpMeter, type CatchUpProgress, type NewcomerStatus } from './catch-up-meter.ts';
import { RoomWatch } from './room-watch.ts';

const askTimeoutMsMax = 1000;
const fewBytes = 1024 * 1024;
/** How often the newcomers themselves are asked how far they are, milliseconds: that is a connection each. */
const lookMs = 250;

export interface Filling {
  /** Of each request, milliseconds. */
  readonly timeoutMs: number;
  /** Until all newcomers have all data, milliseconds. */
  readonly fillTimeoutMs: number;
  onProgress(progress: CatchUpProgress): void;
}

/**
 * Has the newcomers get all data while the members are what they are. Throws a {@link CommandError} if that takes too long or one of
 * them has no room for it, or a KvError. It ends with the command: nothing is changed then.
 */
export async function fillNewcomers(
  client: Pick<KvClient, 'fill' | 'statusOf'>,
  { nodes, added, configurationId }: ReconfigurationPlan,
  { timeoutMs, fillTimeoutMs, onProgress }: Filling,
): Promise<void> {
  const meter = new CatchUpMeter(
    added.map(({ id }) => id),
    configurationId + 1,
  );
  const room = new RoomWatch();
  let lookedMs = Number.NEGATIVE_INFINITY;
  const problem = await fillingProblem(async () => {
    const newcomers = await client.fill(nodes, { timeoutMs });
    const isDone = newcomers.every(({ isFilled }) => isFilled);
    if (!isDone && performance.now() - lookedMs < lookMs) return newcomers;
    lookedMs = performance.now();
    const statuses = await Promise.all(added.map((node) => statusOf(client, node, timeoutMs)));
    const members = statuses.filter((status) => status !== undefined);
    const progress = meter.measure({ members }, performance.now());
    onProgress(progress);
    for (const newcomer of progress.newcomers) room.assertRoom(newcomer);
    // One that has the data already is no fuller for becoming a member again.
    const has = (id: number) => newcomers.some((one) => one.id === id && one.isFilled) && !received(progress, id);
    const full = members.filter((member) => !has(member.id) && room.isFull(member, performance.now()));
    return newcomers.map((one) => ({ ...one, isFilled: one.isFilled && !full.some(({ id }) => id === one.id) }));
  }, fillTimeoutMs);
  if (problem !== undefined) throw new CommandError('notReached', 'notFilled', problem, 'notApplied');
}

/** It got more than the last few entries of the log. */
function received({ newcomers }: CatchUpProgress, id: number): boolean {
  return newcomers.some((one) => one.id === id && one.bytesReceived > fewBytes);
}

async function statusOf(
  client: Pick<KvClient, 'statusOf'>,
  { id, address }: ListedNode,
  timeoutMs: number,
): Promise<(NewcomerStatus & { readonly space: NodeSpace | undefined }) | undefined> {
  if (address === undefined) return undefined;
  try {
    const status = await client.statusOf(address, { timeoutMs: Math.min(timeoutMs, askTimeoutMsMax) });
    const { state, configurationId, decidedIndex, catchUp, space } = status;
    return { id, state, configurationId, decidedIndex, catchUp, space };
  } catch (error) {
    // One that does not answer for a moment is shown so.
    if (error instanceof KvError) return undefined;
    throw error;
  }
}
