import { errorMessage, sqlStateOf } from '../connection/sql-state.ts';
import {
  CallbackFailedError,
  ConnectRefusedError,
  DatabaseClosedError,
  NOT_SENT,
  NoWritableHostError,
  type PoolSnapshot,
  TokenLostError,
} from '../errors.ts';

import { formatLsn } from '../lsn.ts';
import type { LinkRequirement, LostPosition, StaleLink } from './link-state.ts';

/** The host takes no calls any more; its waiting callers have to go to another host. */
export class HostDrained extends Error {
  readonly host: string;

  constructor(host: string) {
    super(`${host} takes no calls any more`);
    this.host = host;
  }
}

export function connectRefused(
  cause: unknown,
  pool: PoolSnapshot,
): ConnectRefusedError | CallbackFailedError {
  if (cause instanceof CallbackFailedError) return callbackFailure(cause);
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

/** The error of another caller, with its own stack. */
export function callbackFailure({
  callback,
  cause,
  host = '',
}: CallbackFailedError): CallbackFailedError {
  return new CallbackFailedError(callback, { host, cause, seen: errorMessage(cause) });
}

export function databaseClosed(): DatabaseClosedError {
  return new DatabaseClosedError('the database is closed; nothing was sent', {
    ...NOT_SENT,
    retryable: false,
  });
}

/** No connection to a host leads to a server that is fresh enough for a read. */
export function noFreshServer(cause: StaleLink): NoWritableHostError {
  const { host, requirement } = cause;
  const missing =
    requirement.kind === 'replayed'
      ? `has replayed ${requirement.token.lsn} of timeline ${requirement.token.timeline} yet`
      : `is a primary${timelineOf(requirement)}`;
  const message = `no server behind ${host} ${missing}; nothing was changed, call again later`;
  return new NoWritableHostError(message, { ...NOT_SENT, cause, retryable: true, host });
}

/** The promotion of this host lost what the token stands for. */
export function tokenLost({ token, timeline, began }: LostPosition, host: string): TokenLostError {
  return new TokenLostError(token, { timeline, began: formatLsn(began) }, host);
}

function timelineOf(requirement: LinkRequirement): string {
  const isNamed = requirement.kind === 'primary' && requirement.timeline > 0;
  return isNamed ? ` on timeline ${requirement.timeline} or later` : '';
}
