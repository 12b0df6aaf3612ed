import type { Clock } from '@holdfast/foundation';
import type { IdempotencyLedger } from '../ledger/idempotency-ledger.ts';
import { type JobCancelledError, JobTimeoutError } from '../errors.ts';
import type { ObserveRun } from '../outcomes/observed-run.ts';
import { type StandardSchema, validatePayload } from '../producer/schema.ts';
import type { Handler, Job } from '../queue.ts';

/** One run of a handler. Creates the signal on first use, because most handlers never use it. */
export class JobExecution {
  readonly #mayBegin: () => boolean;
  #controller: AbortController | undefined;
  #isAborted = false;
  #timeout: JobTimeoutError | undefined;
  #wasRefused = false;
  #wasCancelled = false;

  /** @param mayBegin asked in the turn in which the handler is called: a schema or a ledger may have taken long. */
  constructor(mayBegin: () => boolean) {
    this.#mayBegin = mayBegin;
  }

  /** It was too late to call the handler. */
  get wasRefused(): boolean {
    return this.#wasRefused;
  }

  /** Its job was cancelled: whatever becomes of the handler, the job is removed. */
  get wasCancelled(): boolean {
    return this.#wasCancelled;
  }

  cancel(error: JobCancelledError): void {
    this.#wasCancelled = true;
    this.abort(error);
  }

  /** Precedes each call of the handler. @throws Error when it must not be called any more */
  begin(): this {
    this.#wasRefused = this.isAborted || !this.#mayBegin();
    if (this.#wasRefused) throw new Error('the consumer starts no job any more');
    return this;
  }

  get signal(): AbortSignal {
    return this.#created.signal;
  }

  /** The job is not this consumer's any more. */
  get isAborted(): boolean {
    return this.#isAborted;
  }

  abort(reason: Error): void {
    this.#isAborted = true;
    this.#created.abort(reason);
  }

  /** Tells the handler that its time is up; the job stays this consumer's until the handler ends. */
  timeOut(error: JobTimeoutError): void {
    this.#timeout = error;
    this.#created.abort(error);
  }

  /** Why an attempt failed. The next one has a signal of its own. */
  failure(error: unknown): unknown {
    const timeout = this.#timeout;
    if (timeout === undefined) return error;
    this.#timeout = undefined;
    if (!this.#isAborted) this.#controller = undefined;
    if (error === timeout) return error;
    return new JobTimeoutError(timeout.topic, timeout.id, timeout.timeoutMs, error);
  }

  get #created(): AbortController {
    this.#controller ??= new AbortController();
    return this.#controller;
  }
}

/** The output of the schema, or the payload itself. @throws SchemaViolationError */
export function decodePayload(
  topic: string,
  schema: StandardSchema | undefined,
  payload: string,
): unknown {
  return schema === undefined ? JSON.parse(payload) : validatePayload(topic, schema, payload);
}

/** Handles one job; resolves with `known` when the ledger has its entry already. */
export type ExecuteJob = (job: Job, execution: JobExecution) => Promise<'applied' | 'known'>;

/** The same, for at most this time; `undefined` for no limit. */
export type ExecuteLimited = (
  job: Job,
  execution: JobExecution,
  timeoutMs: number | undefined,
) => Promise<'applied' | 'known'>;

/** Combines the handler with the ledger, if there is one. */
export function createJobExecutor<Transaction>(
  handler: Handler | Handler<Transaction>,
  ledger: IdempotencyLedger<Transaction> | undefined,
  observe: ObserveRun,
): ExecuteJob {
  if (ledger === undefined || isPlain(handler, ledger)) {
    return async (job, execution) => {
      if (isPlain(handler, ledger)) {
        await observe(job, execution, (running) =>
          handler(running, new Context(execution.begin(), undefined)),
        );
      }
      return 'applied';
    };
  }
  return (job, execution) =>
    ledger.once(job, async (transaction) =>
      observe(job, execution, (running) =>
        handler(running, new Context(execution.begin(), transaction)),
      ),
    );
}

interface TimeLimit {
  readonly topic: string;
  readonly executeJob: ExecuteJob;
  readonly clock: Clock;
}

/** When its time is up a handler is told so; the job goes on until it ends, so that no two of its runs overlap. */
export function limitTime(
  { topic, executeJob, clock }: TimeLimit,
  onTimeout: (job: Job, timeoutMs: number) => void,
): ExecuteLimited {
  return async (job, execution, timeoutMs) => {
    if (timeoutMs === undefined) return executeJob(job, execution);
    const timer = clock.schedule(timeoutMs, () => {
      execution.timeOut(new JobTimeoutError(topic, job.id, timeoutMs));
      onTimeout(job, timeoutMs);
    });
    try {
      return await executeJob(job, execution);
    } finally {
      timer.cancel();
    }
  };
}

/** The second argument of a handler. */
class Context<Transaction> {
  readonly #execution: JobExecution;
  readonly transaction: Transaction;

  constructor(execution: JobExecution, transaction: Transaction) {
    this.#execution = execution;
    this.transaction = transaction;
  }

  get signal(): AbortSignal {
    return this.#execution.signal;
  }
}

function isPlain<Transaction>(
  handler: Handler | Handler<Transaction>,
  ledger: IdempotencyLedger<Transaction> | undefined,
): handler is Handler {
  return ledger === undefined;
}
