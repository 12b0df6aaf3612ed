import { AsyncLocalStorage } from 'node:async_hooks';
import { ConnectionLostError, DatabaseClosedError, NestedAcquireError } from '../errors.ts';
import { databaseClosed } from '../pool/pool-errors.ts';

/** A transaction whose callback is running. */
interface TransactionScope {
  open: boolean;
}

/** Checks whether a call may begin, and explains the errors of calls that `end` has cut off. */
export class CallGuard {
  /** The transaction in whose callback the present code runs. */
  readonly #scope = new AsyncLocalStorage<TransactionScope>();
  #isEnding = false;

  /** Rejects every call from now on. */
  close(): void {
    this.#isEnding = true;
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

  /** A connection lost after `end` was closed by it, not by the network. */
  translateError(error: unknown): unknown {
    if (!this.#isEnding || !(error instanceof ConnectionLostError)) return error;
    const { phase, outcome, host } = error;
    return new DatabaseClosedError('the database was ended while the call was under way', {
      cause: error,
      phase,
      outcome,
      retryable: false,
      host,
    });
  }
}
