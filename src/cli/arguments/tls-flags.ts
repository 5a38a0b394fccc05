import * as Flags from '@oclif/core/flags';
import type { ClusterDescription, TlsFiles } from '../../cluster/cluster-file.ts';
import { InputError } from '../../cluster/input-error.ts';
import { tlsParts } from '../../tls/identity.ts';

/** The flags of every command that connects to nodes, and of `kv start`. */
export const tlsFlags = {
  'tls-ca': Flags.string({
    helpValue: 'FILE',
    description: 'certificates of the authorities to believe; else KV_TLS_CA, else as the cluster file says',
  }),
  'tls-cert': Flags.string({ helpValue: 'FILE', description: 'own certificate; else KV_TLS_CERT, else as above' }),
  'tls-key': Flags.string({ helpValue: 'FILE', description: 'its private key; else KV_TLS_KEY, else as above' }),
};

/** Where files may be named beside the cluster file. An empty variable counts as not given. */
export interface TlsSources {
  readonly flags: {
    readonly 'tls-ca'?: string | undefined;
    readonly 'tls-cert'?: string | undefined;
    readonly 'tls-key'?: string | undefined;
  };
  readonly environment: {
    readonly KV_TLS_CA?: string | undefined;
    readonly KV_TLS_CERT?: string | undefined;
    readonly KV_TLS_KEY?: string | undefined;
  };
  readonly cluster: Pick<ClusterDescription, 'tls'>;
}

/** Each file from where it is named first: flags, environment, cluster file. Undefined: no TLS. Throws {@link InputError} if one is missing. */
export function resolveTlsFiles({ flags, environment, cluster }: TlsSources): TlsFiles | undefined {
  const files = {
    ca: flags['tls-ca'] ?? (environment.KV_TLS_CA || cluster.tls?.ca),
    cert: flags['tls-cert'] ?? (environment.KV_TLS_CERT || cluster.tls?.cert),
    key: flags['tls-key'] ?? (environment.KV_TLS_KEY || cluster.tls?.key),
  };
  const empty = tlsParts.find((part) => files[part] === '');
  if (empty !== undefined) throw new InputError(`--tls-${empty} is empty: give a file`);
  const { ca, cert, key } = files;
  if (ca === undefined && cert === undefined && key === undefined) return undefined;
  if (ca !== undefined && cert !== undefined && key !== undefined) return { ca, cert, key };
  const missing = tlsParts.filter((part) => files[part] === undefined).map((part) => `--tls-${part}`);
  throw new InputError(`TLS needs all of --tls-ca, --tls-cert and --tls-key: give ${missing.join(' and ')}, too`);
}

/** The variables that {@link resolveTlsFiles} looks at. */
export function tlsEnvironment(): TlsSources['environment'] {
  const { KV_TLS_CA, KV_TLS_CERT, KV_TLS_KEY } = process.env;
  return { KV_TLS_CA, KV_TLS_CERT, KV_TLS_KEY };
}
