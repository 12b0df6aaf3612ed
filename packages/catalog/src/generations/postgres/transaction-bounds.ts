import type { Transaction } from '@holdfast/database';
import type { PostgresStoreSettings } from './options.ts';

/**
 * Makes the server end a transaction whose process does nothing, such as one that is frozen: it would keep the row of the
 * fence, and with it every other leader, for as long as its connection lives.
 */
export async function boundTransaction(
  { timeoutMs }: Pick<PostgresStoreSettings, 'timeoutMs'>,
  tx: Transaction,
  lockTimeoutMs: number,
): Promise<void> {
  await tx.query(
    `select set_config('lock_timeout', $1, true), set_config('idle_in_transaction_session_timeout', $2, true)`,
    [lockTimeoutMs, timeoutMs / 2].map((ms) => String(Math.ceil(ms))),
  );
}
