/** What is to come about. */
export interface MembershipChange {
  readonly configurationId: number;
  readonly members: readonly number[];
  readonly added: readonly number[];
  readonly removed: readonly number[];
  /** How many of the next members may fail. */
  readonly faultTolerance: number;
  /** What speaks against it, where `--force` goes on, and what one should know. */
  readonly warnings: readonly string[];
}
