import { HoldfastError, describeValue } from '@holdfast/foundation';
import type { StoredError } from './stored-error.ts';

/** No function was registered under this name; nothing was stored. */
export class UnknownRunFunctionError extends HoldfastError {
  readonly code = 'DURABLE_UNKNOWN_FUNCTION';

  constructor(name: string, known: readonly string[]) {
    super(
      `the runner has no function ${describeValue(name)}; it has: ${known.join(', ') || 'none'}`,
      { outcome: 'not-applied' },
    );
  }
}

/** No run has this id. */
export class UnknownRunError extends HoldfastError {
  readonly code = 'DURABLE_UNKNOWN_RUN';

  constructor(runId: string) {
    super(`there is no run ${describeValue(runId)}; start it first`, { outcome: 'not-applied' });
  }
}

/** The id belongs to a run of another function, or with another input. */
export class RunConflictError extends HoldfastError {
  readonly code = 'DURABLE_RUN_CONFLICT';

  constructor(runId: string, field: 'function' | 'input') {
    super(
      `the run ${describeValue(runId)} was started with another ${field}; take an id of its own`,
      {
        outcome: 'not-applied',
      },
    );
  }
}

/** The name was used before in this run; a step is found again by its name. */
export class StepConflictError extends HoldfastError {
  readonly code = 'DURABLE_STEP_CONFLICT';

  constructor(runId: string, name: string) {
    super(
      `the run ${describeValue(runId)} has reached two steps with the name ${describeValue(name)}`,
    );
  }
}

/** A step failed for good; the same error is thrown after a takeover. */
export class StepFailedError extends HoldfastError {
  readonly code = 'DURABLE_STEP_FAILED';
  readonly step: string;
  /** What is stored of the step's own error. */
  readonly failure: StoredError;

  constructor(step: string, failure: StoredError, details?: { readonly cause: unknown }) {
    super(`the step ${describeValue(step)} failed: ${failure.message}`, details);
    this.step = step;
    this.failure = failure;
  }
}

/** One attempt at a step took longer than its `timeoutMs`. */
export class StepTimeoutError extends HoldfastError {
  readonly code = 'DURABLE_STEP_TIMEOUT';

  constructor(step: string, timeoutMs: number) {
    super(`the step ${describeValue(step)} has not ended in ${timeoutMs} ms`, {
      retryable: true,
      outcome: 'unknown',
    });
  }
}

/** The run ended with an error. */
export class RunFailedError extends HoldfastError {
  readonly code = 'DURABLE_RUN_FAILED';
  readonly failure: StoredError;

  constructor(runId: string, failure: StoredError) {
    super(`the run ${describeValue(runId)} failed: ${failure.message}`);
    this.failure = failure;
  }
}

/** The run was cancelled. */
export class RunCancelledError extends HoldfastError {
  readonly code = 'DURABLE_RUN_CANCELLED';

  constructor(runId: string) {
    super(`the run ${describeValue(runId)} was cancelled`);
  }
}

/** This process no longer runs it: its lease is lost, it made no progress, or the runner closes. Nothing of it is stored. */
export class RunInterruptedError extends HoldfastError {
  readonly code = 'DURABLE_RUN_INTERRUPTED';

  constructor(runId: string, reason: string) {
    super(
      `the run ${describeValue(runId)} stops here: ${reason}; another process goes on with it`,
      {
        retryable: true,
      },
    );
  }
}

/** The runner is closed. */
export class RunnerClosedError extends HoldfastError {
  readonly code = 'DURABLE_RUNNER_CLOSED';

  constructor() {
    super('the runner is closed; make a new one', { outcome: 'not-applied' });
  }
}

/** What was given is not kept by JSON as it is; nothing was stored. */
export class NotDurableError extends HoldfastError {
  readonly code = 'DURABLE_VALUE_NOT_KEPT';

  constructor(what: string, cause?: unknown) {
    super(
      `${what} does not come back from JSON as it is; give plain data`,
      cause === undefined ? { outcome: 'not-applied' } : { outcome: 'not-applied', cause },
    );
  }
}
