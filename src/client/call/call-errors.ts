import type { Outcome } from '../../kv/outcome.ts';
import type { Condition } from '../../kv/transaction.ts';
import type { Failure } from '../../wire/client-message.ts';
import type { Call } from './call.ts';
import { KvError, type KvErrorCode } from './errors.ts';

/** What a node's refusal means for the call. */
type Verdict =
  | { readonly retry: true; readonly leavesNode: boolean }
  | { readonly retry: false; readonly code: KvErrorCode };

/** Whether a failure is worth another attempt, and whether on another node. */
export function verdictOn(failure: Failure): Verdict {
  switch (failure.code) {
    case 'noMajority':
    case 'notMember':
    case 'busy':
    case 'shuttingDown':
      return { retry: true, leavesNode: true };
    case 'timeout':
      return { retry: true, leavesNode: false };
    case 'invalid':
    case 'tooLarge':
    case 'sessionExpired':
    case 'reconfiguring':
    case 'unreachable':
    case 'noSpace':
      return { retry: false, code: failure.code };
    default:
      return { retry: false, code: 'internal' };
  }
}

/** The call is over, see {@link Call.isOver}. `problems`: why which endpoint is not reached, if any is not. */
export function overdueError(call: Call, problems: string | undefined): KvError {
  const { outcome, lastFailure, signal } = call;
  if (signal?.aborted) return abortedError(signal, outcome);
  const timeoutMs = Math.ceil(call.toldTimeoutMs);
  const why = lastFailure?.message ?? problems;
  const because = why === undefined ? '' : `: ${why}`;
  if (outcome === 'unknown') {
    return new KvError('timeout', `no answer within ${timeoutMs} ms, the outcome is unknown${because}`, outcome);
  }
  if (lastFailure?.code === 'busy')
    return new KvError('busy', `no node took the request within ${timeoutMs} ms${because}`, outcome);
  if (lastFailure?.code === 'timeout')
    return new KvError('timeout', `no answer within ${timeoutMs} ms${because}`, outcome);
  if (lastFailure !== undefined)
    return new KvError('noMajority', `no majority answered within ${timeoutMs} ms${because}`, outcome);
  if (call.openAttempts > 0 || call.isFateUnknown)
    return new KvError('timeout', `no answer within ${timeoutMs} ms${because}`, outcome);
  const what = problems === undefined ? 'no node took the request' : 'no node could be reached';
  return new KvError('noMajority', `${what} within ${timeoutMs} ms${because}`, outcome);
}

/** The caller gave the call up. */
export function abortedError(signal: AbortSignal, outcome: KvError['outcome']): KvError {
  const fate = outcome === 'unknown' ? 'while the command was on its way' : 'before it had an effect';
  return new KvError('aborted', `the call was aborted ${fate}`, outcome, { cause: signal.reason });
}

/** The condition of a write did not hold: the key was at `revision`. */
export function conflictError(ifRevision: number, revision: number): KvError {
  const message = `${whyNot(ifRevision, revision)}: nothing is changed`;
  return new KvError('conflict', message, 'notApplied', { revision });
}

/** A condition of a transaction did not hold. */
export function unmetError(
  { key, ifRevision }: Condition,
  { condition, revision }: Outcome & { readonly type: 'unmet' },
): KvError {
  const name = JSON.stringify(new TextDecoder().decode(key));
  const message = `condition ${condition + 1}, of ${name}: ${whyNot(ifRevision, revision)}: nothing is changed`;
  return new KvError('conflict', message, 'notApplied', { revision, condition });
}

function whyNot(ifRevision: number, revision: number): string {
  if (ifRevision === 0) return `the key exists, at revision ${revision}`;
  return revision === 0 ? 'there is no such key' : `the key is at revision ${revision}, not ${ifRevision}`;
}

export function failureError(call: Call, code: KvErrorCode, failure: Failure): KvError {
  return new KvError(code, failure.message, call.outcome);
}

export function closedError(call: Call): KvError {
  const fate = call.outcome === 'unknown' ? 'while the command was on its way' : 'before an answer came';
  return new KvError('closed', `the client was closed ${fate}`, call.outcome);
}

/** For a call that must not be sent twice. */
export function lostError(call: Call, problem: string): KvError {
  return new KvError('timeout', `the connection was lost while the request was on its way: ${problem}`, call.outcome);
}
