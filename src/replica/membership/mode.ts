import type { Configuration } from '../../cluster/configuration.ts';
import type { CatchUp } from '../catch-up/catch-up.ts';
import type { Voter } from '../voter.ts';
import type { Formation } from './formation.ts';
import type { Leaving } from './leaving.ts';

/**
 * What this node is to the cluster.
 *
 * - `forming`: belongs to no cluster yet and waits for the other initial members.
 * - `member`: votes. `catchUp` is set while it lacks more than its leader's log can give it, or asks to go on with that; `leaving` knows of a later configuration
 *   that it was told of and has not reached in the log, and when to go there.
 * - `joining`: is a member of `configuration`, but lacks what was decided before it. It never votes in an older one again. `leaving` as above.
 * - `standby`: no member; waits to be taken in. `filling` is set while it gets all data beforehand.
 */
export type Mode =
  | { readonly name: 'forming'; readonly formation: Formation }
  | {
      readonly name: 'member';
      readonly voter: Voter;
      catchUp: CatchUp | undefined;
      readonly leaving: Leaving;
    }
  | {
      readonly name: 'joining';
      readonly configuration: Configuration;
      readonly catchUp: CatchUp;
      readonly leaving: Leaving;
    }
  | { readonly name: 'standby'; filling: CatchUp | undefined };

/** The catching up that is under way in it, if one is. */
export function catchUpOf(mode: Mode): CatchUp | undefined {
  if (mode.name === 'standby') return mode.filling;
  return mode.name === 'member' || mode.name === 'joining' ? mode.catchUp : undefined;
}

/** What is known of later configurations, while this node may be needed in the present one. */
export function leavingOf(mode: Mode): Leaving | undefined {
  return mode.name === 'member' || mode.name === 'joining' ? mode.leaving : undefined;
}

/** What to tell a client whose time is over while no leader was in reach. */
export function whyNoLeader(mode: Mode): string {
  if (mode.name !== 'forming') return 'no leader with a majority of the members was in reach';
  const { missing, problem } = mode.formation;
  if (problem) return problem;
  if (missing.length === 0) {
    const whose = mode.formation.isOfSeveral ? 'its initial members, all connected,' : 'this node alone';
    return `a new cluster of ${whose} forms in a moment, if no cluster of this name calls`;
  }
  const nodes = `node${missing.length > 1 ? 's' : ''} ${missing.join(', ')}`;
  return `a new cluster forms once all its first members have met: waiting for ${nodes}`;
}
