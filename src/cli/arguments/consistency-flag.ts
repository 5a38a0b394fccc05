import * as Flags from '@oclif/core/flags';

/** Of a command that reads. */
export const consistencyFlag = Flags.option({
  options: ['linearizable', 'local'] as const,
  default: 'linearizable' as const,
  description: 'local: what the node asked has applied, maybe stale, without asking the others',
})();
