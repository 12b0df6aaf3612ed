import {
  ConnectionLostError,
  DatabaseError,
  type Phase,
  QueryFailedError,
  QueryTimeoutError,
} from '../errors.ts';
import { inWords, isTransient, isUnresolved, sqlStateOf } from '../connection/sql-state.ts';
import { LinkFailure } from '../connection/connection.ts';
import { Interruption } from '../pool/in-flight-query.ts';

/** Where it happened, and what a loss would mean there. */
export interface Place {
  readonly host: string;
  readonly timeoutMs: number;
  /** The statement is part of a transaction that ends with its link. */
  readonly inTransaction: boolean;
  /** It was sent once before, and its link lost: whatever becomes of it now, it may have taken effect. */
  readonly mayHaveRun?: boolean;
}

/** What the caller is told when a statement failed: an error that knows what became of it, or his reason. */
export function explain(error: unknown, place: Place): unknown {
  if (error instanceof Interruption) return interrupted(error, place);
  if (!(error instanceof LinkFailure)) return error;
  return error.kind === 'refused' ? refused(error, place) : lost(error, place);
}

/** It was lost on its way and could not be sent again, which does not undo what it may have done. */
export function lostForGood(
  { error }: LinkFailure,
  host: string,
  why: unknown,
): ConnectionLostError {
  return new ConnectionLostError(
    `the link to ${host} was lost (${inWords(error)}), and the statement could not be sent again ` +
      `(${inWords(why)}); whether it took effect is unknown`,
    {
      cause: error,
      phase: 'sent',
      outcome: 'unknown',
      retryable: false,
      sqlState: sqlStateOf(error),
      host,
      pool: why instanceof DatabaseError ? why.pool : undefined,
    },
  );
}

function interrupted(
  { over, sent: sentNow }: Interruption,
  { host, timeoutMs, inTransaction, mayHaveRun = false }: Place,
): unknown {
  if (over.kind === 'signal') return over.reason;
  const sent = sentNow || mayHaveRun;
  return new QueryTimeoutError(timeoutMs, {
    phase: phaseOf(sent),
    outcome: sent && !inTransaction ? 'unknown' : 'not-applied',
    retryable: !sent,
    host,
  });
}

function refused(
  { error, sent }: LinkFailure,
  { host, inTransaction, mayHaveRun = false }: Place,
): DatabaseError {
  const sqlState = sqlStateOf(error);
  const isUnknown = mayHaveRun || (isUnresolved(sqlState) && !inTransaction);
  const state = sqlState === undefined ? '' : `${sqlState} `;
  return new QueryFailedError(`${host} refused the statement: ${state}${inWords(error)}`, {
    cause: error,
    phase: phaseOf(sent),
    outcome: isUnknown ? 'unknown' : 'not-applied',
    retryable: isTransient(sqlState),
    sqlState,
    host,
  });
}

function lost(
  { error, sent: sentNow }: LinkFailure,
  { host, inTransaction, mayHaveRun = false }: Place,
): DatabaseError {
  const sent = sentNow || mayHaveRun;
  const isUnknown = sent && !inTransaction;
  const effect = isUnknown
    ? 'whether the statement took effect is unknown'
    : sent
      ? 'the transaction was not committed'
      : 'nothing was sent';
  return new ConnectionLostError(`the link to ${host} was lost (${inWords(error)}); ${effect}`, {
    cause: error,
    phase: phaseOf(sent),
    outcome: isUnknown ? 'unknown' : 'not-applied',
    retryable: !isUnknown,
    sqlState: sqlStateOf(error),
    host,
  });
}

function phaseOf(sent: boolean): Phase {
  return sent ? 'sent' : 'not-sent';
}
