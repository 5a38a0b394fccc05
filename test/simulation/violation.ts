/** A check that did not hold: the simulation ends with it. */
export class Violation extends Error {
  override readonly name = 'Violation';
  /** Which rule, in a few words. */
  readonly check: string;

  constructor(check: string, detail: string) {
    super(`${check}: ${detail}`);
    this.check = check;
  }
}

/** Ends the simulation unless `holds`. */
export function require(holds: boolean, check: string, detail: () => string): asserts holds {
  if (!holds) throw new Violation(check, detail());
}
