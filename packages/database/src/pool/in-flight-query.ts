import type { CallDeadline, Cancellable, Cancellation } from '@holdfast/foundation';

/** A statement's deadline passed, or its signal aborted, before the reply arrived. */
export class QueryInterrupted extends Error {
  readonly cancellation: Cancellation;
  readonly sent: boolean;

  constructor(cancellation: Cancellation, sent: boolean) {
    super(`the statement was interrupted by its ${cancellation.kind}`);
    this.cancellation = cancellation;
    this.sent = sent;
  }
}

/** The connection that a query runs on, as the query sees it. */
export interface QueryRunner {
  /** The reply of the query has arrived. @param isServed it is no error. */
  finished(isServed: boolean): void;
  /** Nobody waits for the query any more: cancels it on the server. */
  abandon(query: InFlightQuery<never>): void;
  destroy(): void;
}

/** One exchange under way. Its caller gets the reply, or the interruption if that comes first. */
export class InFlightQuery<T> implements Cancellable {
  readonly deadline: CallDeadline;
  readonly #runner: QueryRunner;
  readonly #onTimeout: 'cancel' | 'destroy';
  readonly #resolve: (value: T) => void;
  readonly #reject: (reason: unknown) => void;
  #onEnd: (() => void) | undefined = undefined;
  #isOver = false;

  /** @param onTimeout cancels the query on the server, or destroys the connection, when it is interrupted. */
  constructor(
    runner: QueryRunner,
    deadline: CallDeadline,
    onTimeout: 'cancel' | 'destroy',
    resolve: (value: T) => void,
    reject: (reason: unknown) => void,
  ) {
    this.deadline = deadline;
    this.#runner = runner;
    this.#onTimeout = onTimeout;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  /** @param isServed false if all that was answered are errors. */
  answered(value: T, isServed = true): void {
    this.#end(isServed);
    this.#resolve(value);
  }

  failed(reason: unknown): void {
    this.#end(false);
    this.#reject(reason);
  }

  cancel(cancellation: Cancellation): void {
    this.#reject(new QueryInterrupted(cancellation, true));
    if (this.#onTimeout === 'cancel') this.#runner.abandon(this);
    else this.#runner.destroy();
  }

  /** Rejects a query that was not sent. */
  refuse(cancellation: Cancellation): void {
    this.#reject(new QueryInterrupted(cancellation, false));
  }

  /** Resolves when the reply has arrived, also after the caller was interrupted. */
  ended(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#isOver) resolve();
      else this.#onEnd = resolve;
    });
  }

  #end(isServed: boolean): void {
    this.#isOver = true;
    this.deadline.current = undefined;
    this.#runner.finished(isServed);
    this.#onEnd?.();
  }
}
