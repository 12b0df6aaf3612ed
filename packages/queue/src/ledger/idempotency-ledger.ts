/** The key of a job in a ledger. */
export interface LedgerEntry {
  readonly topic: string;
  readonly id: string;
}

/**
 * Records which jobs have had their effect, so that a redelivered job does not have it again. Only a ledger in the
 * transaction of the effect leaves no gap between effect and record.
 */
export interface IdempotencyLedger<Transaction = undefined> {
  /**
   * Runs the effect and records it, unless it is recorded already.
   * @returns `applied` when the effect ran, `known` when it was recorded before.
   * @throws the errors of the effect or of the ledger's store; the job is then retried.
   */
  once(
    entry: LedgerEntry,
    effect: (transaction: Transaction) => Promise<void>,
  ): Promise<'applied' | 'known'>;
}
