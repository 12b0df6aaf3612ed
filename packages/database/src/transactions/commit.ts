import type { CallDeadline, Cancellation } from '@holdfast/foundation';
import { toDatabaseError } from '../calls/to-database-error.ts';
import { ConnectionFailure } from '../connection/connection.ts';
import { errorMessage, leavesCommitUnknown, sqlStateOf } from '../connection/sql-state.ts';
import type { Statement } from '../database.ts';
import type { Token } from '../connection/token.ts';
import { CommitRolledBackError, CommitUnknownError, QueryTimeoutError } from '../errors.ts';
import { CURRENT_LSN, UNKNOWN_LSN, tokenFrom } from '../lsn.ts';
import { QueryInterrupted } from '../pool/in-flight-query.ts';
import type { PooledConnection } from '../pool/pooled-connection.ts';

/**
 * One message, so that the position costs no round trip. It is read after COMMIT, because before it the
 * position would not include the commit record.
 */
const COMMIT_AND_LSN: Statement = { text: `commit; ${CURRENT_LSN.text}` };

/**
 * What is known after COMMIT. `refused` and `unknown` have the caller's error; `mayResolve`: there is time left to find
 * the outcome by its marker.
 */
export type CommitOutcome =
  | { readonly kind: 'committed'; readonly token: Token }
  | { readonly kind: 'refused'; readonly error: unknown }
  | { readonly kind: 'unknown'; readonly error: unknown; readonly mayResolve: boolean };

/** Sends COMMIT. The command tag of the reply decides the outcome: the server may reply ROLLBACK. */
export async function commit(
  pooled: PooledConnection,
  deadline: CallDeadline,
): Promise<CommitOutcome> {
  const hasFailed = pooled.connection.status === 'E';
  try {
    const result = await pooled.run(COMMIT_AND_LSN, deadline);
    if (pooled.connection.commands[0] === 'ROLLBACK') return rolledBack(pooled.host, undefined);
    return { kind: 'committed', token: tokenFrom(result.rows[0]) };
  } catch (error) {
    const { host } = pooled;
    const outcome = afterFailure(error, host, deadline.timeoutMs);
    // A failed transaction cannot be committed, whatever became of its COMMIT.
    if (outcome.kind !== 'unknown' || !hasFailed) return outcome;
    const context = { host, timeoutMs: deadline.timeoutMs, inTransaction: true };
    return { kind: 'refused', error: toDatabaseError(error, context) };
  }
}

function afterFailure(error: unknown, host: string, timeoutMs: number): CommitOutcome {
  if (error instanceof ConnectionFailure) {
    const { kind, cause, sent, commands } = error;
    // COMMIT was confirmed; only the statement after it failed.
    if (commands[0] === 'COMMIT') return { kind: 'committed', token: UNKNOWN_LSN };
    if (commands[0] === 'ROLLBACK') return rolledBack(host, cause);
    if (sent && (kind === 'lost' || leavesCommitUnknown(cause))) {
      return unknown(host, cause, errorMessage(cause), true);
    }
    const context = { host, timeoutMs, inTransaction: true };
    return { kind: 'refused', error: toDatabaseError(error, context) };
  }
  if (!(error instanceof QueryInterrupted)) return { kind: 'refused', error };
  const { cancellation, sent } = error;
  if (!sent) return { kind: 'refused', error: endedBeforeCommit(cancellation, host, timeoutMs) };
  if (cancellation.kind === 'signal') {
    return { kind: 'unknown', error: cancellation.reason, mayResolve: false };
  }
  return unknown(host, undefined, `no answer within ${timeoutMs} ms`, false);
}

/** The time was over, or the signal aborted, while no statement was under way and before COMMIT was sent. */
export function endedBeforeCommit(
  cancellation: Cancellation,
  host: string,
  timeoutMs: number,
): unknown {
  if (cancellation.kind === 'signal') return cancellation.reason;
  return new QueryTimeoutError(
    timeoutMs,
    { phase: 'sent', outcome: 'not-applied', retryable: false, host },
    `the callback of the transaction on ${host} did not finish`,
  );
}

function rolledBack(host: string, cause: unknown): CommitOutcome {
  const error = new CommitRolledBackError(
    `${host} answered COMMIT with ROLLBACK, because a statement of the transaction had failed; nothing was kept`,
    { cause, phase: 'commit-sent', outcome: 'not-applied', retryable: false, host },
  );
  return { kind: 'refused', error };
}

function unknown(host: string, cause: unknown, reason: string, mayResolve: boolean): CommitOutcome {
  const error = new CommitUnknownError(
    `COMMIT was sent to ${host} and not confirmed (${reason}); the transaction was committed completely or not ` +
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
  return { kind: 'unknown', error, mayResolve };
}
