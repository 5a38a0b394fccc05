import { lastingChainOf, validityOf } from './chain.ts';
import { certificatesOf, partOf, type TlsIdentity } from './identity.ts';

/** When an identity is of no use any more unless it is renewed. */
export interface Ending {
  /** Where that stands which ends first: the own certificate, or an authority that it leads to. */
  readonly part: 'ca' | 'cert';
  /** From when on that is valid, and to when: milliseconds since 1970. */
  readonly fromMs: number;
  readonly toMs: number;
}

/**
 * How near an end is. `near`: within 14 days and the last tenth of the time for which the certificate is valid; `lastDay`: of these the
 * last 24 hours.
 */
export type Nearness = 'far' | 'near' | 'lastDay' | 'over';

/** What was told of an end, and when, milliseconds since 1970. */
export interface ToldEnding {
  readonly toMs: number;
  readonly nearness: Nearness;
  readonly atMs: number;
}

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
/** An end is told of if it is so near, milliseconds. */
const nearMs = 14 * dayMs;
/** And if so small a part of the certificate's time is left. */
const nearPart = 1 / 10;

/** After how many milliseconds an end is told of again. */
const againMs = { near: dayMs, lastDay: hourMs, over: hourMs } as const;

/**
 * The end of the certificate that `identity` shows, or of those that vouch for it, if that is earlier; of several that do so, of those that last.
 * `identity` has to be checked: see checkTlsIdentity. Of an authority that only others believe nothing is known.
 */
export function endingOf(identity: TlsIdentity): Ending {
  const { own, signers } = certificatesOf(identity, (part) => part);
  const chain = lastingChainOf(own, signers) ?? [own];
  const [first, ...others] = chain.map((certificate) => ({
    part: partOf(certificate, signers),
    ...validityOf(certificate),
  })) as [Ending, ...Ending[]];
  return others.reduce((earliest, one) => (one.toMs < earliest.toMs ? one : earliest), first);
}

export function nearnessOf({ fromMs, toMs }: Ending, nowMs: number): Nearness {
  const leftMs = toMs - nowMs;
  if (leftMs < 0) return 'over';
  if (leftMs > Math.min(nearMs, (toMs - fromMs) * nearPart)) return 'far';
  return leftMs < dayMs ? 'lastDay' : 'near';
}

/** What is to be told now, if anything: an end that is near once a day, in the last day and when it is over once an hour, and what is new of it at once. */
export function newsOf(ending: Ending, told: ToldEnding | undefined, nowMs: number): ToldEnding | undefined {
  const nearness = nearnessOf(ending, nowMs);
  if (nearness === 'far') return undefined;
  const isKnown = told?.toMs === ending.toMs && told.nearness === nearness;
  // The clock may have been set back.
  if (isKnown && Math.abs(nowMs - told.atMs) < againMs[nearness]) return undefined;
  return { toMs: ending.toMs, nearness, atMs: nowMs };
}
