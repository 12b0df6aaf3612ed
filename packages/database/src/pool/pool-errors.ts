import { ConnectRefusedError, DatabaseClosedError, type PoolSnapshot } from '../errors.ts';
import { inWords, sqlStateOf } from '../connection/sql-state.ts';

export function connectRefused(cause: unknown, pool: PoolSnapshot): ConnectRefusedError {
  return new ConnectRefusedError(
    `${pool.host} refuses the connection (${inWords(cause)}); waiting would not help, nothing was sent`,
    {
      cause,
      phase: 'not-sent',
      outcome: 'not-applied',
      retryable: false,
      sqlState: sqlStateOf(cause),
      host: pool.host,
      pool,
    },
  );
}

export function databaseClosed(): DatabaseClosedError {
  return new DatabaseClosedError('the database was ended; nothing was sent', {
    phase: 'not-sent',
    outcome: 'not-applied',
    retryable: false,
  });
}
