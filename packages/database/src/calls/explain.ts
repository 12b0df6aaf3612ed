import {
  ConnectionLostError,
  type DatabaseError,
  type Phase,
  QueryFailedError,
  QueryTimeoutError,
} from '../errors.ts';
import { inWords, isTransient, isUnresolved, sqlStateOf } from '../link/failure.ts';
import { LinkFailure } from '../link/link.ts';
import { Interruption } from '../pool/running.ts';

/** Where it happened, and what a loss would mean there. */
export interface Place {
  readonly host: string;
  readonly timeoutMs: number;
  /** The statement is part of a transaction that ends with its link. */
  readonly inTransaction: boolean;
}

/** What the caller is told when a statement failed: an error that knows what became of it, or his reason. */
export function explain(error: unknown, place: Place): unknown {
  if (error instanceof Interruption) return interrupted(error, place);
  if (!(error instanceof LinkFailure)) return error;
  return error.kind === 'refused' ? refused(error, place) : lost(error, place);
}

function interrupted(
  { over, sent }: Interruption,
  { host, timeoutMs, inTransaction }: Place,
): unknown {
  if (over.by === 'signal') return over.reason;
  return new QueryTimeoutError(timeoutMs, {
    phase: phaseOf(sent),
    outcome: sent && !inTransaction ? 'unknown' : 'not-applied',
    retryable: !sent,
    host,
  });
}

function refused({ error, sent }: LinkFailure, { host, inTransaction }: Place): DatabaseError {
  const sqlState = sqlStateOf(error);
  const isUnknown = isUnresolved(sqlState) && !inTransaction;
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

function lost({ error, sent }: LinkFailure, { host, inTransaction }: Place): DatabaseError {
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
