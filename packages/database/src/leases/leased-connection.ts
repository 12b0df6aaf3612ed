import type { Clock, CallDeadline } from '@holdfast/foundation';
import type { QueryResultRow } from 'pg';
import type { CallOptions, QueryResult, Statement } from '../database.ts';
import { TransactionEndedError } from '../errors.ts';
import { Interruption } from '../pool/in-flight-query.ts';
import type { Slot } from '../pool/pooled-connection.ts';
import { limitOf } from '../calls/call-deadline.ts';
import { explain } from '../calls/to-database-error.ts';

export interface LentLinkOptions {
  readonly slot: Slot;
  readonly clock: Clock;
  readonly queryTimeoutMs: number;
  /** What it is called in errors. */
  readonly handle: 'transaction' | 'lease';
  /** Ends every statement with its reason. */
  readonly signal?: AbortSignal;
}

/**
 * A link in one caller's hands. Statements run in the order of their calls, one at a time, whether or not
 * each is awaited; after the end none is sent.
 */
export class LentLink {
  readonly slot: Slot;
  readonly #options: LentLinkOptions;
  #ended: { readonly cause: unknown } | undefined;
  #tail: Promise<unknown> | undefined;

  constructor(options: LentLinkOptions) {
    this.slot = options.slot;
    this.#options = options;
  }

  get ended(): boolean {
    return this.#ended !== undefined;
  }

  /** From now on every statement is refused. */
  end(cause?: unknown): void {
    this.#ended ??= { cause };
  }

  /** Resolves once the statements so far have settled. */
  async quiet(): Promise<void> {
    await this.#tail;
  }

  /** @throws as `Queryable.query` says, and TransactionEndedError. */
  async query<Row extends QueryResultRow>(
    statement: Statement,
    call: CallOptions | undefined,
    boundMs: number,
  ): Promise<QueryResult<Row>> {
    const { clock, handle, signal, queryTimeoutMs } = this.#options;
    if (this.#ended !== undefined) throw new TransactionEndedError(handle, this.#ended.cause);
    const bounds = { clock, fallbackMs: queryTimeoutMs, atMostMs: boundMs, signal };
    const limit = limitOf('query', call, bounds);
    const { timeoutMs } = limit;
    try {
      return await this.#inTurn<Row>(statement, limit);
    } catch (error) {
      const inTransaction = handle === 'transaction';
      const told = explain(error, { host: this.slot.host, timeoutMs, inTransaction });
      // A statement that may still have run leaves a transaction that nobody knows the content of.
      if (inTransaction && error instanceof Interruption && error.sent) this.end(told);
      throw told;
    } finally {
      limit.release();
    }
  }

  async #inTurn<Row extends QueryResultRow>(
    statement: Statement,
    limit: CallDeadline,
  ): Promise<QueryResult<Row>> {
    const before = this.#tail;
    const turn =
      before === undefined
        ? this.#run<Row>(statement, limit)
        : this.#after<Row>(before, statement, limit);
    const tail = Promise.allSettled([before, turn]);
    this.#tail = tail;
    try {
      return await turn;
    } finally {
      if (this.#tail === tail) this.#tail = undefined;
    }
  }

  async #after<Row extends QueryResultRow>(
    before: Promise<unknown>,
    statement: Statement,
    limit: CallDeadline,
  ): Promise<QueryResult<Row>> {
    await untilOver(before, limit);
    const { handle } = this.#options;
    if (this.#ended !== undefined) throw new TransactionEndedError(handle, this.#ended.cause);
    return this.#run<Row>(statement, limit);
  }

  async #run<Row extends QueryResultRow>(
    statement: Statement,
    limit: CallDeadline,
  ): Promise<QueryResult<Row>> {
    if (this.slot.occupied) await untilOver(this.slot.settled(), limit);
    return this.slot.run<Row>(statement, limit);
  }
}

/** Waits for `work` as long as the limit allows; nothing of the waiter's own has been sent. */
export function untilOver<T>(work: Promise<T>, limit: CallDeadline): Promise<T> {
  return new Promise((resolve, reject) => {
    if (limit.cancellation !== undefined) {
      reject(new Interruption(limit.cancellation, false));
      return;
    }
    limit.current = { cancel: (over) => reject(new Interruption(over, false)) };
    work.then(
      (value) => {
        limit.current = undefined;
        resolve(value);
      },
      (error: unknown) => {
        limit.current = undefined;
        reject(error);
      },
    );
  });
}
