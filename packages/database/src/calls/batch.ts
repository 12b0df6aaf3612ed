import type { QueryResult, Statement } from '../database.ts';
import { BatchFailedError, DatabaseError } from '../errors.ts';
import type { CallDeadline } from '@holdfast/foundation';
import { LinkFailure } from '../connection/connection.ts';
import { Interruption } from '../pool/in-flight-query.ts';
import type { Slot } from '../pool/pooled-connection.ts';
import { type Place, explain } from './to-database-error.ts';
import { mayReplay } from './queries.ts';
import type { Route } from '../hosts/host-router.ts';

/** Sends all statements at once on one link; each is a transaction of its own. */
export async function runBatch(
  statements: readonly Statement[],
  limit: CallDeadline,
  idempotent: boolean,
  route: Route,
): Promise<QueryResult[]> {
  const { timeoutMs } = limit;
  /** What the first message came to, whose link was lost. */
  let first: { readonly atMs: number; readonly results: () => QueryResult[] } | undefined;
  while (true) {
    let slot: Slot;
    try {
      slot = await route.writable(limit);
    } catch (error) {
      if (first === undefined || limit.cancellation?.kind === 'signal') throw error;
      return first.results();
    }
    const mayHaveRun = first !== undefined;
    const place = { host: slot.host, timeoutMs, inTransaction: false, mayHaveRun };
    try {
      slot.lastSql = statements[0]?.text;
      const settled = await slot.during(() => slot.link.pipeline(statements), limit);
      const loss = settled.find(isLoss);
      if (loss === undefined) return resultsOf(settled, place);
      if (loss.reason.sent) {
        const atMs = slot.heardMs;
        if (!idempotent || !mayReplay(slot, first)) return resultsOf(settled, place);
        first ??= { atMs, results: () => resultsOf(settled, place) };
      }
    } catch (error) {
      throw error instanceof Interruption ? explain(error, place) : error;
    } finally {
      slot.release();
    }
  }
}

type Loss = PromiseRejectedResult & { readonly reason: LinkFailure };

function isLoss(result: PromiseSettledResult<unknown>): result is Loss {
  return (
    result.status === 'rejected' &&
    result.reason instanceof LinkFailure &&
    result.reason.kind === 'lost'
  );
}

/** @throws BatchFailedError unless all succeeded. */
function resultsOf(
  settled: readonly PromiseSettledResult<QueryResult>[],
  place: Place,
): QueryResult[] {
  const results: QueryResult[] = [];
  const told: PromiseSettledResult<QueryResult>[] = [];
  let first: DatabaseError | undefined;
  for (const result of settled) {
    if (result.status === 'fulfilled') {
      results.push(result.value);
      told.push(result);
      continue;
    }
    const reason = explain(result.reason, place);
    if (reason instanceof DatabaseError) first ??= reason;
    told.push({ status: 'rejected', reason });
  }
  if (results.length === settled.length) return results;
  const isUnknown = told.some(
    (each) =>
      each.status === 'rejected' &&
      each.reason instanceof DatabaseError &&
      each.reason.outcome === 'unknown',
  );
  throw new BatchFailedError(told, {
    cause: first,
    phase: 'sent',
    outcome: isUnknown ? 'unknown' : results.length > 0 ? 'applied' : 'not-applied',
    retryable: false,
    sqlState: first?.sqlState,
    host: place.host,
  });
}
