/** A bug to be planted into the source while the simulator is bundled. */
export interface PlantedBug {
  readonly name: string;
  readonly rule: string;
  readonly seeds: number;
  readonly edits: readonly { readonly file: string; readonly find: string; readonly replace: string }[];
}

export const plantedBugs: readonly PlantedBug[];
