import { KvError } from '../../client/call/errors.ts';
import type { KvClient } from '../../client/client.ts';
import { fillNewcomers as fillThem, silentNewcomer } from '../../client/members/fill-newcomers.ts';
import type { NewcomerFilling, NodeStatus } from '../../wire/client-message.ts';
import type { ReconfigurationPlan } from '../arguments/reconfiguration-plan.ts';
import { CommandError } from '../exit-codes.ts';
import type { CatchUpMeter, CatchUpProgress } from './catch-up-meter.ts';

export interface Filling {
  /** Of each request, milliseconds. */
  readonly timeoutMs: number;
  /** Until all newcomers have all data, milliseconds. */
  readonly fillTimeoutMs: number;
  /** Members that stay and are far behind are not waited for. */
  readonly isForced: boolean;
  /** Of the newcomers. */
  readonly meter: CatchUpMeter;
  onProgress(progress: CatchUpProgress): void;
  /** What people should know meanwhile. */
  onMessage(line: string): void;
}

/**
 * Has the newcomers get all data while the members are what they are, and tells how far they are. Throws a {@link CommandError} if that
 * takes too long, or a KvError: `noSpace`, or `reconfiguring` once somebody else has changed the members. Nothing is changed then.
 */
export async function fillNewcomers(
  client: Pick<KvClient, 'fill' | 'statusOf'>,
  { nodes, added, configurationId: ifConfigurationId }: ReconfigurationPlan,
  { timeoutMs, fillTimeoutMs, isForced, meter, onProgress, onMessage }: Filling,
): Promise<void> {
  const newcomers = added.map(({ id }) => id);
  meter.watch(newcomers, ifConfigurationId + 1);
  const ids = isForced ? newcomers : undefined;
  const onLook = (statuses: readonly NodeStatus[]) => {
    const members = statuses.map(({ nodeId: id, state, configurationId, decidedIndex, catchUp }) => {
      return { id, state, configurationId, decidedIndex, catchUp };
    });
    onProgress(meter.measure({ members }, performance.now()));
  };
  const onSilent = (newcomer: NewcomerFilling) => onMessage(silentNewcomer(newcomer));
  try {
    await fillThem(client, { nodes, ifConfigurationId, timeoutMs, fillTimeoutMs, ids, onLook, onSilent });
  } catch (error) {
    if (!(error instanceof KvError) || error.code !== 'timeout') throw error;
    throw new CommandError('notReached', 'notFilled', error.message, 'notApplied');
  }
}
