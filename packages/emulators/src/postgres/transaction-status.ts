import type { TransactionIndicator } from '@holdfast/protocols/postgres';
import { normalizeSql } from './script.ts';

const begins = /^(?:begin|start transaction)\b/;
const ends = /^(?:commit|end|abort|rollback(?! to\b| transaction to\b))\b/;
const returnsToSavepoint = /^rollback (?:transaction )?to\b/;

/** Whether a failed transaction still accepts the statement. */
export function endsFailure(sql: string): boolean {
  const text = normalizeSql(sql);
  return ends.test(text) || returnsToSavepoint.test(text);
}

/** Whether it requests a commit, to which a failed transaction replies `ROLLBACK`. */
export function commits(sql: string): boolean {
  return /^(?:commit|end)\b/.test(normalizeSql(sql));
}

/**
 * A session's status after a statement that has succeeded.
 *
 *      begin            error
 *   I ───────▶ T ─────────────────▶ E
 *   ▲          │ ◀───────────────── │
 *   └──────────┘   rollback to      │
 *   ▲ commit, rollback              │
 *   └───────────────────────────────┘
 */
export function statusAfter(sql: string, status: TransactionIndicator): TransactionIndicator {
  const text = normalizeSql(sql);
  if (begins.test(text)) return 'T';
  if (returnsToSavepoint.test(text)) return 'T';
  return ends.test(text) ? 'I' : status;
}
