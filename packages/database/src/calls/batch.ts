import type { CallDeadline } from '@holdfast/foundation';
import { ConnectionFailure, type PipelinedResult } from '../connection/connection.ts';
import { failedWith, leftOpen } from '../connection/transaction-control.ts';
import { READ_ONLY, sqlStateOf } from '../connection/sql-state.ts';
import type { QueryResult, Statement } from '../database.ts';
import type { QueryResultRow } from './pg-types.ts';
import { BatchFailedError, DatabaseError } from '../errors.ts';
import { QueryInterrupted } from '../pool/in-flight-query.ts';
import type { PooledConnection } from '../pool/pooled-connection.ts';
import { type UndoneText, undoneTexts } from './batch-transactions.ts';
import type { CallDeps } from './call-deps.ts';
import { isLoss } from './fresh-exchange.ts';
import { MAX_REDIRECTIONS, holdBack, mayReplay } from './queries.ts';
import { type FailureContext, toDatabaseError } from './to-database-error.ts';

/** Sends all statements at once on one connection, each in its own transaction. */
export async function runBatch(
  statements: readonly Statement[],
  deadline: CallDeadline,
  idempotent: boolean,
  { router, options }: Pick<CallDeps, 'router' | 'options'>,
): Promise<QueryResult[]> {
  const { clock } = options;
  const { timeoutMs } = deadline;
  const texts = statements.map(({ text }) => text);
  /** The results of the first sending, if its connection was lost. */
  let redirections = 0;
  /** Replays beyond the first. */
  let held = 0;
  let first: { readonly atMs: number; readonly results: () => QueryResult[] } | undefined;
  while (true) {
    let pooled: PooledConnection;
    try {
      pooled = await router.acquirePrimary(deadline);
    } catch (error) {
      if (first === undefined || deadline.cancellation?.kind === 'signal') throw error;
      return first.results();
    }
    const mayHaveRun = first !== undefined;
    const context = { host: pooled.host, timeoutMs, inTransaction: false, mayHaveRun };
    try {
      pooled.lastSql = texts[0];
      for (const text of texts) pooled.track(text);
      const settled = await exchange(pooled, statements, deadline, context);
      const standby = settled.filter(isReadOnly);
      if (standby.length > 0 && router.reportReadOnly(pooled, 'write')) {
        const hasKept = standby.some(({ reason }) => reason.mayHaveCommitted);
        const isWhole = standby.length === settled.length;
        if (isWhole && (idempotent || !hasKept) && redirections < MAX_REDIRECTIONS) {
          redirections += 1;
          if (hasKept) {
            first ??= {
              atMs: pooled.lastResponseMs,
              results: () => resultsOf(settled, texts, context),
            };
          }
          continue;
        }
      }
      const loss = settled.find(isLoss);
      if (loss === undefined) return resultsOf(settled, texts, context);
      if (loss.reason.sent) {
        const atMs = pooled.lastResponseMs;
        if (!idempotent || !mayReplay(pooled, first, loss.reason)) {
          return resultsOf(settled, texts, context);
        }
        if (first !== undefined) held += 1;
        first ??= { atMs, results: () => resultsOf(settled, texts, context) };
        pooled.release();
        if (held > 0) await holdBack(clock, held, deadline);
      }
    } catch (error) {
      throw error instanceof QueryInterrupted ? toDatabaseError(error, context) : error;
    } finally {
      pooled.release();
    }
  }
}

/**
 * Sends all statements. When their time is over those that the server has already received would run nevertheless, so
 * the connection is closed, and what has arrived by then is the result.
 */
async function exchange(
  pooled: PooledConnection,
  statements: readonly Statement[],
  deadline: CallDeadline,
  context: FailureContext,
): Promise<readonly PipelinedResult<QueryResultRow>[]> {
  let sending: Promise<PipelinedResult<QueryResultRow>[]> | undefined;
  try {
    return await pooled.during(
      () => (sending = pooled.connection.pipeline<QueryResultRow>(statements)),
      deadline,
    );
  } catch (error) {
    if (sending === undefined || !(error instanceof QueryInterrupted)) throw error;
    pooled.release(true);
    if (error.cancellation.kind === 'signal') throw error;
    const replies = await sending;
    const settled = replies.map((each) => (isLoss(each) ? { ...each, reason: error } : each));
    const texts = statements.map(({ text }) => text);
    resultsOf(settled, texts, context);
    return replies;
  }
}

type Refused = PromiseRejectedResult & { readonly reason: ConnectionFailure };

/** The connection leads to a standby, which has rejected the statement. */
function isReadOnly(result: PromiseSettledResult<unknown>): result is Refused {
  return (
    result.status === 'rejected' &&
    result.reason instanceof ConnectionFailure &&
    sqlStateOf(result.reason.cause) === READ_ONLY
  );
}

/**
 * The results, without those of statements whose transaction, begun in the batch, was not committed: it was left open,
 * one of its statements had failed, or the reply to its end is missing.
 */
function withoutUndone(
  replies: readonly PipelinedResult<QueryResultRow>[],
  texts: readonly string[],
  { host, mayHaveRun }: FailureContext,
): PromiseSettledResult<QueryResult>[] {
  const settled: PromiseSettledResult<QueryResult>[] = [...replies];
  // The end of the last transaction was sent, perhaps, and the server may still get there.
  const cut = replies.find((each) => isLoss(each) || isInterrupted(each));
  const missing: unknown = cut?.status === 'rejected' ? cut.reason : undefined;
  for (const { at, commands, fate, reason } of undoneTexts(replies, texts, cut !== undefined)) {
    settled[at] = { status: 'rejected', reason: why(fate, commands, reason) };
  }
  return settled;

  function why(fate: UndoneText['fate'], commands: readonly string[], reason: unknown): unknown {
    if (fate === 'unknown') return reason;
    if (fate === 'failed') return failedWith(host, commands, mayHaveRun);
    return missing ?? leftOpen(host, commands);
  }
}

function isInterrupted(result: PromiseSettledResult<unknown>): boolean {
  return result.status === 'rejected' && result.reason instanceof QueryInterrupted;
}

/** @throws BatchFailedError unless all succeeded. */
function resultsOf(
  replies: readonly PipelinedResult<QueryResultRow>[],
  texts: readonly string[],
  context: FailureContext,
): QueryResult[] {
  const settled = withoutUndone(replies, texts, context);
  const results = settled.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
  if (results.length === settled.length) return results;
  const translated = settled.map((each) =>
    each.status === 'fulfilled'
      ? each
      : { status: each.status, reason: toDatabaseError(each.reason, context) },
  );
  const errors = translated.flatMap((each) =>
    each.status === 'rejected' && each.reason instanceof DatabaseError ? [each.reason] : [],
  );
  const isApplied = results.length > 0 || errors.some(({ outcome }) => outcome === 'applied');
  const isUnknown = errors.some(({ outcome }) => outcome === 'unknown');
  throw new BatchFailedError(translated, {
    cause: errors[0],
    phase: 'sent',
    outcome: isUnknown ? 'unknown' : isApplied ? 'applied' : 'not-applied',
    retryable: false,
    sqlState: errors[0]?.sqlState,
    host: context.host,
  });
}
