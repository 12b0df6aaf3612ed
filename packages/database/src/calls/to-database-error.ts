import { ConnectionFailure } from '../connection/connection.ts';
import {
  PROTOCOL_VIOLATION,
  READ_ONLY,
  errorMessage,
  isTransient,
  isUnresolved,
  sqlStateOf,
} from '../connection/sql-state.ts';
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
  /** The caller began the transaction read-only, so that the server refuses writes in it for good. */
  readonly readOnly?: boolean | undefined;
  /** The statement was sent before on a connection that was lost, so it may have taken effect then. */
  readonly mayHaveRun?: boolean;
}

/** Translates an internal failure to the caller's error, with its outcome, or to the signal's reason. */
export function toDatabaseError(error: unknown, context: FailureContext): unknown {
  if (error instanceof QueryInterrupted) return interrupted(error, context);
  if (!(error instanceof ConnectionFailure)) return error;
  if (error.kind === 'unparsed') return unparsed(error, context);
  return error.kind === 'refused' ? refused(error, context) : lost(error, context);
}

/** A statement could not be sent again, so its first sending may still have taken effect. */
export function replayFailedError(
  failure: ConnectionFailure,
  host: string,
  obstacle: unknown,
): DatabaseError {
  const { cause } = failure;
  if (failure.kind === 'refused') {
    return refused(failure, { host, timeoutMs: 0, inTransaction: false, mayHaveRun: true });
  }
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
  { cause, sent, mayHaveCommitted }: ConnectionFailure,
  { host, inTransaction, readOnly = false, mayHaveRun = false }: FailureContext,
): DatabaseError {
  const sqlState = sqlStateOf(cause);
  // The connection goes on, so it is no pooler's.
  const isMismatched = sqlState === PROTOCOL_VIOLATION;
  const isOwnFault = isMismatched || (readOnly && sqlState === READ_ONLY);
  const isUnknown =
    mayHaveRun || mayHaveCommitted || (isUnresolved(sqlState) && !inTransaction && !isMismatched);
  const failed =
    sqlState === undefined
      ? `the statement was not sent to ${host}`
      : mayHaveCommitted
        ? `${host} refused the statement, and may have committed a part of it before`
        : `${host} refused the statement`;
  return new QueryFailedError(`${failed}: ${errorMessage(cause)}`, {
    ...detailsOf(cause, host, sent),
    outcome: isUnknown ? 'unknown' : 'not-applied',
    retryable: isTransient(sqlState) && !isOwnFault && !mayHaveCommitted,
  });
}

/** In a transaction, too, the statement is applied: the caller may go on, and commit. */
function unparsed({ cause }: ConnectionFailure, { host }: FailureContext): QueryFailedError {
  const message = `${host} executed the statement, but its answer could not be parsed: ${errorMessage(cause)}`;
  return new QueryFailedError(message, {
    cause,
    phase: 'sent',
    outcome: 'applied',
    retryable: false,
    host,
  });
}

/** An executed statement whose transaction was not committed, because the callback did not go on. */
export function rolledBack(error: QueryFailedError): QueryFailedError {
  const { cause, phase, host } = error;
  return new QueryFailedError(`${error.message}; the transaction was rolled back`, {
    cause,
    phase,
    outcome: 'not-applied',
    retryable: false,
    host,
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
