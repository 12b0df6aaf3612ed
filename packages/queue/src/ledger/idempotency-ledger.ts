/** A job as a ledger knows it. */
export interface LedgerEntry {
  readonly topic: string;
  readonly id: string;
}

/**
 * Remembers whose effects have happened, so that a job handed out again has none again. How exactly depends
 * on where it remembers: only a ledger in the effect's own transaction leaves no gap between the two.
 */
export interface IdempotencyLedger<Transaction = undefined> {
  /**
   * Runs the effect unless it has happened before, and remembers that it has.
   * @returns whether it was run.
   * @throws what the effect or the ledger's store throws; the job is tried again then.
   */
  once(
    entry: LedgerEntry,
    effect: (transaction: Transaction) => Promise<void>,
  ): Promise<'applied' | 'known'>;
}
