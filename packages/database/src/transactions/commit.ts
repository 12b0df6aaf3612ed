import type { Statement, Token } from '../database.ts';
import { CommitRolledBackError, CommitUnknownError } from '../errors.ts';
import { inWords, sqlStateOf } from '../connection/sql-state.ts';
import { LinkFailure } from '../connection/connection.ts';
import type { CallDeadline } from '@holdfast/foundation';
import { CURRENT_PLACE, UNKNOWN_PLACE, tokenFrom } from '../lsn.ts';
import { Interruption } from '../pool/in-flight-query.ts';
import type { Slot } from '../pool/pooled-connection.ts';
import { explain } from '../calls/to-database-error.ts';

/**
 * One message, so that the place costs no round trip. It is read behind COMMIT, because before it the place
 * falls short of the commit record.
 */
const COMMIT_AND_PLACE: Statement = { text: `commit; ${CURRENT_PLACE.text}` };

/** What is known after COMMIT. `refused` and `unknown` carry what the caller is to be told. */
export type Committed =
  | { readonly at: 'committed'; readonly token: Token }
  | { readonly at: 'refused'; readonly error: unknown }
  | { readonly at: 'unknown'; readonly error: unknown; readonly isLost: boolean };

/** Sends COMMIT and reads the answer for what it is: the tag counts, not that there was an answer. */
export async function commit(slot: Slot, limit: CallDeadline): Promise<Committed> {
  try {
    const result = await slot.run(COMMIT_AND_PLACE, limit);
    if (slot.link.commands[0] === 'ROLLBACK') return rolledBack(slot.host, undefined);
    return { at: 'committed', token: tokenFrom(result.rows[0]) };
  } catch (error) {
    return afterFailure(error, slot.host, limit.timeoutMs);
  }
}

function afterFailure(error: unknown, host: string, timeoutMs: number): Committed {
  if (error instanceof LinkFailure) {
    // The answer to COMMIT came; what failed is only what stood behind it.
    if (error.commands[0] === 'COMMIT') return { at: 'committed', token: UNKNOWN_PLACE };
    if (error.commands[0] === 'ROLLBACK') return rolledBack(host, error.error);
    if (error.kind === 'refused' || !error.sent) {
      return { at: 'refused', error: explain(error, { host, timeoutMs, inTransaction: true }) };
    }
    return unknown(host, error.error, inWords(error.error), true);
  }
  if (error instanceof Interruption) {
    if (error.over.kind === 'signal')
      return { at: 'unknown', error: error.over.reason, isLost: false };
    return unknown(host, undefined, `no answer within ${timeoutMs} ms`, false);
  }
  return { at: 'refused', error };
}

function rolledBack(host: string, cause: unknown): Committed {
  const error = new CommitRolledBackError(
    `${host} answered COMMIT with ROLLBACK, because a statement of the transaction had failed; nothing was kept`,
    { cause, phase: 'commit-sent', outcome: 'not-applied', retryable: false, host },
  );
  return { at: 'refused', error };
}

function unknown(host: string, cause: unknown, seen: string, isLost: boolean): Committed {
  const error = new CommitUnknownError(
    `COMMIT was sent to ${host} and not answered (${seen}); the transaction is whole or not there at all, ` +
      'look it up before running it again',
    {
      cause,
      phase: 'commit-sent',
      outcome: 'unknown',
      retryable: false,
      host,
      sqlState: sqlStateOf(cause),
    },
  );
  return { at: 'unknown', error, isLost };
}
