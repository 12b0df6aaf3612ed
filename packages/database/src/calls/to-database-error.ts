import { ConnectionFailure } from '../connection/connection.ts';
import { errorMessage, isTransient, isUnresolved, sqlStateOf } from '../connection/sql-state.ts';
import {
  ConnectionLostError,
  DatabaseError,
  type DatabaseErrorDetails,
  type Phase,
  QueryFailedError,
  QueryTimeoutError,
} from '../errors.ts';
import { QueryInterrupted } from '../pool/in-flight-query.ts';

/** The circumstances of a failed statement, which decide its outcome. */
export interface FailureContext {
  readonly host: string;
  readonly timeoutMs: number;
  /** The statement is part of a transaction, which ends with its connection. */
  readonly inTransaction: boolean;
  /** The statement was sent before on a connection that was lost, so it may have taken effect then. */
  readonly mayHaveRun?: boolean;
}

/** Translates an internal failure to the caller's error, with its outcome, or to the signal's reason. */
export function toDatabaseError(error: unknown, context: FailureContext): unknown {
  if (error instanceof QueryInterrupted) return interrupted(error, context);
  if (!(error instanceof ConnectionFailure)) return error;
  return error.kind === 'refused' ? refused(error, context) : lost(error, context);
}

/** A statement was lost and could not be sent again, so its first sending may still have taken effect. */
export function replayFailedError(
  { cause }: ConnectionFailure,
  host: string,
  obstacle: unknown,
): ConnectionLostError {
  return new ConnectionLostError(
    `the connection to ${host} was lost (${errorMessage(cause)}), and the statement could not be sent again ` +
      `(${errorMessage(obstacle)}); whether it took effect is unknown`,
    {
      ...detailsOf(cause, host, true),
      outcome: 'unknown',
      retryable: false,
      pool: obstacle instanceof DatabaseError ? obstacle.pool : undefined,
    },
  );
}

function interrupted(
  { cancellation, sent: sentNow }: QueryInterrupted,
  { host, timeoutMs, inTransaction, mayHaveRun = false }: FailureContext,
): unknown {
  if (cancellation.kind === 'signal') return cancellation.reason;
  const sent = sentNow || mayHaveRun;
  return new QueryTimeoutError(timeoutMs, {
    phase: phaseOf(sent),
    outcome: sent && !inTransaction ? 'unknown' : 'not-applied',
    retryable: !sent,
    host,
  });
}

function refused(
  { cause, sent }: ConnectionFailure,
  { host, inTransaction, mayHaveRun = false }: FailureContext,
): DatabaseError {
  const sqlState = sqlStateOf(cause);
  const isUnknown = mayHaveRun || (isUnresolved(sqlState) && !inTransaction);
  const state = sqlState === undefined ? '' : `${sqlState} `;
  return new QueryFailedError(`${host} refused the statement: ${state}${errorMessage(cause)}`, {
    ...detailsOf(cause, host, sent),
    outcome: isUnknown ? 'unknown' : 'not-applied',
    retryable: isTransient(sqlState),
  });
}

function lost(
  { cause, sent: sentNow }: ConnectionFailure,
  { host, inTransaction, mayHaveRun = false }: FailureContext,
): DatabaseError {
  const sent = sentNow || mayHaveRun;
  const isUnknown = sent && !inTransaction;
  const effect = isUnknown
    ? 'whether the statement took effect is unknown'
    : sent
      ? 'the transaction was not committed'
      : 'nothing was sent';
  const message = `the connection to ${host} was lost (${errorMessage(cause)}); ${effect}`;
  return new ConnectionLostError(message, {
    ...detailsOf(cause, host, sent),
    outcome: isUnknown ? 'unknown' : 'not-applied',
    retryable: !isUnknown,
  });
}

function detailsOf(
  cause: unknown,
  host: string,
  sent: boolean,
): Pick<DatabaseErrorDetails, 'cause' | 'phase' | 'sqlState' | 'host'> {
  return { cause, phase: phaseOf(sent), sqlState: sqlStateOf(cause), host };
}

function phaseOf(sent: boolean): Phase {
  return sent ? 'sent' : 'not-sent';
}
