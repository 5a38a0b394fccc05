import { defaultCluster } from '../../cluster/cluster-file.ts';
import { findUpward } from '../../cluster/find-cluster.ts';
import type { TlsIdentity } from '../../tls/identity.ts';
import { type StopSignal, stopRequested } from '../child/stop-signals.ts';
import { CommandError } from '../exit-codes.ts';
import { printLine, printMessage } from '../output.ts';
import { nodeDirectory } from '../start/start-plan.ts';
import { LocalCluster } from './local-cluster.ts';
import type { UpPlan } from './up-plan.ts';
import { waitForLeader } from './wait-for-leader.ts';

/** Runs the nodes, which have `tls` if it is given, until a signal asks to stop, and resolves with it. Throws {@link CommandError} if none of them is left before. */
export async function runLocalCluster(
  plan: UpPlan,
  tls: TlsIdentity | undefined,
  launcher: readonly [string, ...string[]],
): Promise<StopSignal> {
  const stop = stopRequested(() => printMessage('stopping all nodes (again to end at once)'));
  const nodes = new LocalCluster({
    launcher,
    nodeIds: [...plan.cluster.nodes.keys()],
    nodeArguments: (id) => ['--config', plan.configPath, '--data', nodeDirectory(plan.dataFolder, id)],
    onOutput: (line) => void process.stdout.write(`${line}\n`),
    onMessage: printMessage,
  });
  const leaving = new AbortController();
  const failed = Promise.race([nodes.ended.then(refuseEmptiness), announce(plan, tls, nodes, leaving.signal)]);
  try {
    return await Promise.race([stop, failed]);
  } finally {
    leaving.abort();
    await nodes.stop();
  }
}

function refuseEmptiness(): never {
  throw new CommandError('internal', 'noNodeLeft', 'all nodes have ended: see above why');
}

/** Says how to use the cluster once it answers. Settles only by failing. */
async function announce(
  plan: UpPlan,
  tls: TlsIdentity | undefined,
  { listening }: LocalCluster,
  signal: AbortSignal,
): Promise<never> {
  const endpoints = [...plan.cluster.nodes.values()];
  // Somebody else's nodes may listen where ours were to.
  const ours = () => [...plan.cluster.nodes].flatMap(([id, address]) => (listening.has(id) ? [address] : []));
  try {
    await waitForLeader(ours, tls, signal);
  } catch (error) {
    if (!signal.aborted) throw error;
    return new Promise(() => undefined);
  }
  await printLine(`cluster ${plan.cluster.name} is up; Ctrl-C stops it; endpoints ${endpoints.join(',')}`);
  await printLine(`try in another terminal: kv put greeting hello${howToFind(plan)}`);
  return new Promise(() => undefined);
}

/** What to add to a command so that it finds this cluster. */
function howToFind(plan: UpPlan): string {
  const isDefault = `${[...plan.cluster.nodes]}` === `${[...defaultCluster.nodes]}`;
  const found = findUpward(process.cwd());
  return found === plan.configPath || (isDefault && found === undefined) ? '' : ` --config ${plan.configPath}`;
}
