import type { CallDeadline } from '@holdfast/foundation';
import { toDatabaseError } from '../calls/to-database-error.ts';
import { ConnectionFailure } from '../connection/connection.ts';
import { errorMessage, sqlStateOf } from '../connection/sql-state.ts';
import type { Statement, Token } from '../database.ts';
import { CommitRolledBackError, CommitUnknownError } from '../errors.ts';
import { CURRENT_LSN, UNKNOWN_LSN, tokenFrom } from '../lsn.ts';
import { QueryInterrupted } from '../pool/in-flight-query.ts';
import type { PooledConnection } from '../pool/pooled-connection.ts';

/**
 * One message, so that the position costs no round trip. It is read after COMMIT, because before it the
 * position would not include the commit record.
 */
const COMMIT_AND_LSN: Statement = { text: `commit; ${CURRENT_LSN.text}` };

/** What is known after COMMIT. `refused` and `unknown` have the caller's error. */
export type CommitOutcome =
  | { readonly kind: 'committed'; readonly token: Token }
  | { readonly kind: 'refused'; readonly error: unknown }
  | { readonly kind: 'unknown'; readonly error: unknown; readonly isLost: boolean };

/** Sends COMMIT. The command tag of the reply decides the outcome: the server may reply ROLLBACK. */
export async function commit(
  pooled: PooledConnection,
  deadline: CallDeadline,
): Promise<CommitOutcome> {
  try {
    const result = await pooled.run(COMMIT_AND_LSN, deadline);
    if (pooled.connection.commands[0] === 'ROLLBACK') return rolledBack(pooled.host, undefined);
    return { kind: 'committed', token: tokenFrom(result.rows[0]) };
  } catch (error) {
    return afterFailure(error, pooled.host, deadline.timeoutMs);
  }
}

function afterFailure(error: unknown, host: string, timeoutMs: number): CommitOutcome {
  if (error instanceof ConnectionFailure) {
    const { kind, cause, sent, commands } = error;
    // COMMIT was confirmed; only the statement after it failed.
    if (commands[0] === 'COMMIT') return { kind: 'committed', token: UNKNOWN_LSN };
    if (commands[0] === 'ROLLBACK') return rolledBack(host, cause);
    if (kind === 'lost' && sent) return unknown(host, cause, errorMessage(cause), true);
    const context = { host, timeoutMs, inTransaction: true };
    return { kind: 'refused', error: toDatabaseError(error, context) };
  }
  if (!(error instanceof QueryInterrupted)) return { kind: 'refused', error };
  const { cancellation } = error;
  if (cancellation.kind === 'signal') {
    return { kind: 'unknown', error: cancellation.reason, isLost: false };
  }
  return unknown(host, undefined, `no answer within ${timeoutMs} ms`, false);
}

function rolledBack(host: string, cause: unknown): CommitOutcome {
  const error = new CommitRolledBackError(
    `${host} answered COMMIT with ROLLBACK, because a statement of the transaction had failed; nothing was kept`,
    { cause, phase: 'commit-sent', outcome: 'not-applied', retryable: false, host },
  );
  return { kind: 'refused', error };
}

function unknown(host: string, cause: unknown, reason: string, isLost: boolean): CommitOutcome {
  const error = new CommitUnknownError(
    `COMMIT was sent to ${host} and not answered (${reason}); the transaction was committed completely or not ` +
      'at all, check which before running it again',
    {
      cause,
      phase: 'commit-sent',
      outcome: 'unknown',
      retryable: false,
      host,
      sqlState: sqlStateOf(cause),
    },
  );
  return { kind: 'unknown', error, isLost };
}
