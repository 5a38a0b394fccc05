import { setTimeout as delay } from 'node:timers/promises';
import { KvError } from '../../client/call/errors.ts';
import type { KvClient } from '../../client/client.ts';
import type { ClusterStatus } from '../../client/members/cluster-status.ts';
import { describeLackOfRoom } from '../../client/members/lack-of-room.ts';
import { CommandError } from '../exit-codes.ts';
import { CatchUpMeter, type CatchUpProgress } from './catch-up-meter.ts';

const pollMs = 150;
const pollTimeoutMs = 3000;
/** The last look gets so much, too: whoever has no time to answer would else count as not complete. */
const lastPollTimeoutMs = 1000;

/** What is waited for. */
export interface Wait {
  readonly configurationId: number;
  readonly newcomers: readonly number[];
  readonly timeoutMs: number;
  /** One that has measured them before goes on. */
  readonly meter?: CatchUpMeter;
  /** Called with each answer. */
  onProgress(progress: CatchUpProgress): void;
}

/**
 * Resolves when every newcomer votes in the configuration, and so has all data. Throws a {@link CommandError} whose outcome is
 * `applied` if that takes too long, or if a later configuration has no place for one of them: the reconfiguration stands.
 */
export async function awaitComplete(
  client: Pick<KvClient, 'clusterStatus'>,
  wait: Wait,
): Promise<CatchUpProgress | undefined> {
  const meter = wait.meter ?? new CatchUpMeter();
  meter.watch(wait.newcomers, wait.configurationId);
  const deadlineMs = performance.now() + wait.timeoutMs;
  let progress: CatchUpProgress | undefined;
  while (wait.newcomers.length > 0) {
    const leftMs = deadlineMs - performance.now();
    if (leftMs <= 0) throw incomplete(wait, progress);
    const status = await statusOf(client, Math.min(Math.max(leftMs, lastPollTimeoutMs), pollTimeoutMs));
    if (status !== undefined) {
      refuseSuperseded(status, wait);
      progress = meter.measure(status, performance.now());
      wait.onProgress(progress);
      if (progress.newcomers.every(({ isComplete }) => isComplete)) break;
      refuseWithoutRoom(status, wait);
    }
    await delay(Math.min(pollMs, leftMs));
  }
  return progress;
}

/** It goes on by itself once there is room, and that may be never. */
function refuseWithoutRoom(status: ClusterStatus, { configurationId, newcomers }: Wait): void {
  const lacks = status.members.flatMap(({ id, catchUp }) =>
    newcomers.includes(id) && catchUp?.lackOfRoom ? [`node ${id} has ${describeLackOfRoom(catchUp.lackOfRoom)}`] : [],
  );
  if (lacks.length === 0) return;
  const message = `configuration ${configurationId} stands, but ${lacks.join('; ')}: give it more room, and it goes on by itself`;
  throw new CommandError('incomplete', 'incomplete', message, 'applied');
}

/** In the middle of a handover nobody may have time to answer. */
async function statusOf(
  client: Pick<KvClient, 'clusterStatus'>,
  timeoutMs: number,
): Promise<ClusterStatus | undefined> {
  try {
    return await client.clusterStatus({ timeoutMs });
  } catch (error) {
    if (error instanceof KvError) return undefined;
    throw error;
  }
}

function refuseSuperseded(status: ClusterStatus, { configurationId, newcomers }: Wait): void {
  if (status.configurationId <= configurationId) return;
  const isIn = (id: number) => status.members.some((member) => member.id === id && member.isMember);
  const out = newcomers.filter((id) => !isIn(id));
  if (out.length === 0) return;
  const message = `configuration ${configurationId} came about, but ${status.configurationId} followed, of which ${out.join(', ')} is no member`;
  throw new CommandError('conditionFailed', 'superseded', message, 'applied');
}

function incomplete(
  { configurationId, newcomers, timeoutMs }: Wait,
  progress: CatchUpProgress | undefined,
): CommandError {
  const left = progress?.newcomers.filter(({ isComplete }) => !isComplete).map(({ id }) => id) ?? newcomers;
  const who = left.length > 1 ? `nodes ${left.join(', ')} are` : `node ${left.join(', ')} is`;
  const message = `configuration ${configurationId} stands, but ${who} not complete after ${Math.round(timeoutMs / 1000)} s: it goes on without this command, see kv status`;
  return new CommandError('incomplete', 'incomplete', message, 'applied');
}
