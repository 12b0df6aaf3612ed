import { ConnectionRejected } from '../connection/connection.ts';
import { codeOf } from '../connection/sql-state.ts';
import {
  AcquireTimeoutError,
  CallbackFailedError,
  ConnectRefusedError,
  DatabaseError,
  NOT_SENT,
} from '../errors.ts';

/** The pool was used in a way that pg forbids too: a second release or end, or a call after the end. */
export class PoolMisuseError extends DatabaseError {
  readonly code = 'DATABASE_POOL_MISUSE';

  constructor(message: string) {
    super(message, { ...NOT_SENT, retryable: false });
  }
}

/** Code written for pg expects its errors: those of the server and of the socket, and the words of a timeout. */
export function toPgError(error: unknown): unknown {
  if (error instanceof CallbackFailedError) return error.cause;
  if (error instanceof ConnectRefusedError || error instanceof AcquireTimeoutError) {
    const { cause } = error;
    if (cause instanceof ConnectionRejected) return cause.cause;
    if (codeOf(cause) === 'CONNECT_CUT') {
      return new Error('Connection terminated unexpectedly', { cause: error });
    }
    if (codeOf(cause) !== 'CONNECT_TIMEOUT' && cause !== undefined) return cause;
  }
  if (error instanceof AcquireTimeoutError) {
    error.message = `timeout exceeded when trying to connect: ${error.message}`;
  }
  return error;
}
