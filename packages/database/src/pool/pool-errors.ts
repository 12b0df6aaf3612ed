import { errorMessage, sqlStateOf } from '../connection/sql-state.ts';
import {
  ConnectRefusedError,
  DatabaseClosedError,
  NOT_SENT,
  type PoolSnapshot,
} from '../errors.ts';

/** The host takes no calls any more; its waiting callers have to go to another host. */
export class HostDrained extends Error {
  readonly host: string;

  constructor(host: string) {
    super(`${host} takes no calls any more`);
    this.host = host;
  }
}

export function connectRefused(cause: unknown, pool: PoolSnapshot): ConnectRefusedError {
  return new ConnectRefusedError(
    `${pool.host} refuses the connection (${errorMessage(cause)}); waiting would not help, nothing was sent`,
    {
      ...NOT_SENT,
      cause,
      retryable: false,
      sqlState: sqlStateOf(cause),
      host: pool.host,
      pool,
    },
  );
}

export function databaseClosed(): DatabaseClosedError {
  return new DatabaseClosedError('the database was ended; nothing was sent', {
    ...NOT_SENT,
    retryable: false,
  });
}
