import type { VerifyReport } from '../../cluster/verify-report.ts';
import type { LogLevel } from '../report/log-line.ts';
import { describeProblems } from '../report/verify-report.ts';
import type { StartPlan } from './start-plan.ts';

type SetAside =
  | { readonly type: 'absent' | 'sound' }
  | { readonly type: 'setAside'; readonly to: string; readonly report: VerifyReport };

/** Says what `kv start --rebuild` did with the data directory, and what comes next. */
export function describeSetAside(
  { nodeId, dataDirectory }: StartPlan,
  done: SetAside,
  log: (level: LogLevel, message: string) => void,
): void {
  if (done.type === 'sound') {
    log('warn', `--rebuild: nothing is wrong with ${dataDirectory}: it stays, and the node starts with it`);
    return;
  }
  if (done.type === 'setAside') {
    const [first, ...others] = describeProblems(done.report);
    const more = others.length > 0 ? ` (and ${others.length} more)` : '';
    log('warn', `${first}${more}; the directory was set aside as ${done.to}`);
  }
  log('info', `the data directory is empty: kv member rebuild ${nodeId} gives it the vote of this node`);
}
