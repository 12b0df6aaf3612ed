import { AsyncLocalStorage } from 'node:async_hooks';
import { QUERY_CANCELED } from '../connection/sql-state.ts';
import {
  ConnectionLostError,
  DatabaseClosedError,
  NestedAcquireError,
  QueryFailedError,
} from '../errors.ts';
import { databaseClosed } from '../pool/pool-errors.ts';

/** A transaction whose callback is running. */
interface TransactionScope {
  open: boolean;
}

/** Checks whether a call may begin, and explains the errors of calls that `close` has cut off. */
export class CallGuard {
  /** The transaction in whose callback the present code runs. */
  readonly #scope = new AsyncLocalStorage<TransactionScope>();
  #isEnding = false;
  #isCutOff = false;

  /** Rejects every call from now on. */
  close(): void {
    this.#isEnding = true;
  }

  /** The deadline of `close` has passed: what still runs is cancelled on the server. */
  cutOff(): void {
    this.#isCutOff = true;
  }

  /** @throws DatabaseClosedError, or NestedAcquireError inside a transaction of the same database. */
  assertOpen(call: string): void {
    if (this.#isEnding) throw databaseClosed();
    if (this.#scope.getStore()?.open === true) throw new NestedAcquireError(call);
  }

  /** Runs the callback of a transaction; while its scope is open, {@link assertOpen} rejects in it. */
  runInside<T>(scope: TransactionScope, work: () => T): T {
    return this.#scope.run(scope, work);
  }

  /** Settles like `work`, with its error translated. */
  async withErrors<T>(work: Promise<T>): Promise<T> {
    try {
      return await work;
    } catch (error) {
      throw this.translateError(error);
    }
  }

  /** A connection lost after `close` was closed by it, not by the network, and so with what was cancelled. */
  translateError(error: unknown): unknown {
    const isCancelled =
      this.#isCutOff && error instanceof QueryFailedError && error.sqlState === QUERY_CANCELED;
    const isLost = this.#isEnding && error instanceof ConnectionLostError;
    if (!isCancelled && !isLost) return error;
    const { phase, outcome, host } = error;
    const effect = isCancelled ? '; the server has cancelled its statement' : '';
    const message = `the database was closed while the call was under way${effect}`;
    return new DatabaseClosedError(message, {
      cause: error,
      phase,
      outcome,
      retryable: false,
      host,
    });
  }
}
