import type { CallDeadline } from '@holdfast/foundation';
import { ConnectionFailure } from '../connection/connection.ts';
import type { QueryResult, Statement } from '../database.ts';
import { BatchFailedError, DatabaseError } from '../errors.ts';
import type { HostRouter } from '../hosts/host-router.ts';
import { QueryInterrupted } from '../pool/in-flight-query.ts';
import type { PooledConnection } from '../pool/pooled-connection.ts';
import { mayReplay } from './queries.ts';
import { type FailureContext, toDatabaseError } from './to-database-error.ts';

/** Sends all statements at once on one connection, each in its own transaction. */
export async function runBatch(
  statements: readonly Statement[],
  deadline: CallDeadline,
  idempotent: boolean,
  router: HostRouter,
): Promise<QueryResult[]> {
  const { timeoutMs } = deadline;
  /** The results of the first sending, if its connection was lost. */
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
      pooled.lastSql = statements[0]?.text;
      const settled = await pooled.during(() => pooled.connection.pipeline(statements), deadline);
      const loss = settled.find(isLoss);
      if (loss === undefined) return resultsOf(settled, context);
      if (loss.reason.sent) {
        const atMs = pooled.lastResponseMs;
        if (!idempotent || !mayReplay(pooled, first)) return resultsOf(settled, context);
        first ??= { atMs, results: () => resultsOf(settled, context) };
      }
    } catch (error) {
      throw error instanceof QueryInterrupted ? toDatabaseError(error, context) : error;
    } finally {
      pooled.release();
    }
  }
}

type Loss = PromiseRejectedResult & { readonly reason: ConnectionFailure };

function isLoss(result: PromiseSettledResult<unknown>): result is Loss {
  return (
    result.status === 'rejected' &&
    result.reason instanceof ConnectionFailure &&
    result.reason.kind === 'lost'
  );
}

/** @throws BatchFailedError unless all succeeded. */
function resultsOf(
  settled: readonly PromiseSettledResult<QueryResult>[],
  context: FailureContext,
): QueryResult[] {
  const results = settled.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
  if (results.length === settled.length) return results;
  const translated = settled.map((each) =>
    each.status === 'fulfilled' ? each : { ...each, reason: toDatabaseError(each.reason, context) },
  );
  const errors = translated.flatMap((each) =>
    each.status === 'rejected' && each.reason instanceof DatabaseError ? [each.reason] : [],
  );
  const isUnknown = errors.some(({ outcome }) => outcome === 'unknown');
  throw new BatchFailedError(translated, {
    cause: errors[0],
    phase: 'sent',
    outcome: isUnknown ? 'unknown' : results.length > 0 ? 'applied' : 'not-applied',
    retryable: false,
    sqlState: errors[0]?.sqlState,
    host: context.host,
  });
}
