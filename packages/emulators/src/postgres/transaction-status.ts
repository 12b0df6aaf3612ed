import type { TransactionIndicator } from '@holdfast/protocols/postgres';
import { normalizeSql } from './script.ts';

const begins = /^(?:begin|start transaction)\b/;
const ends = /^(?:commit|end|abort|prepare transaction|rollback(?! to\b| transaction to\b))\b/;
const chains = /\band chain$/;
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
  if (!ends.test(text)) return status;
  return chains.test(text) ? 'T' : 'I';
}
