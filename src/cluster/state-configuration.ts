import { assert } from '../base/assert.ts';
import type { StateConfiguration } from '../kv/cluster-register.ts';
import type { Configuration } from './configuration.ts';
import { configurationOf } from './stop-sign.ts';

/**
 * The configuration that a state is of, if that is a later one than `known`, the newest in the log beside it: its node ended right after a
 * state from behind its configuration was its own, before it could note where that is. The log is of no account then.
 */
export function laterConfigurationOf(
  ofState: StateConfiguration | undefined,
  known: Configuration | undefined,
): Configuration | undefined {
  if (!ofState || !known || ofState.configurationId <= known.configurationId) return undefined;
  const { configurationId, stopSignIndex, metadata } = ofState;
  assert(metadata.length > 0, 'the state does not say who the members of its configuration are', configurationId);
  return configurationOf({ configId: configurationId, nodes: [], metadata }, stopSignIndex);
}
