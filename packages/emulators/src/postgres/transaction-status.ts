import type { TransactionStatus } from '@holdfast/protocols/postgres';
import { foldedSql } from './script.ts';

const begins = /^(?:begin|start transaction)\b/;
const ends = /^(?:commit|end|abort|rollback(?! to\b| transaction to\b))\b/;
const returnsToSavepoint = /^rollback (?:transaction )?to\b/;

/** Whether a failed transaction still takes the statement. */
export function endsFailure(sql: string): boolean {
  const text = foldedSql(sql);
  return ends.test(text) || returnsToSavepoint.test(text);
}

/** Whether it asks for a commit, which a failed transaction answers by `ROLLBACK`. */
export function commits(sql: string): boolean {
  return /^(?:commit|end)\b/.test(foldedSql(sql));
}

/**
 * Where a session stands after a statement that has succeeded.
 *
 *      begin            error
 *   I ───────▶ T ─────────────────▶ E
 *   ▲          │ ◀───────────────── │
 *   └──────────┘   rollback to      │
 *   ▲ commit, rollback              │
 *   └───────────────────────────────┘
 */
export function statusAfter(sql: string, status: TransactionStatus): TransactionStatus {
  const text = foldedSql(sql);
  if (begins.test(text)) return 'T';
  if (returnsToSavepoint.test(text)) return 'T';
  return ends.test(text) ? 'I' : status;
}
