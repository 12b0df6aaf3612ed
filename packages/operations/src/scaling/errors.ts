import { HoldfastError } from '@holdfast/foundation';

/** The target or the metrics did not answer in time. */
export class ScalingTimeoutError extends HoldfastError {
  readonly code = 'OPERATIONS_SCALING_TIMEOUT';

  constructor(what: string, timeoutMs: number) {
    super(`${what} has not answered in ${timeoutMs} ms`, { retryable: true, outcome: 'unknown' });
  }
}

/** Somebody else changed the number of replicas since it was read; the next round decides anew. */
export class ScalingConflictError extends HoldfastError {
  readonly code = 'OPERATIONS_SCALING_CONFLICT';

  constructor(target: string, expected: number, cause?: unknown) {
    super(`${target} no longer wants ${expected} replicas`, {
      retryable: true,
      outcome: 'not-applied',
      ...(cause !== undefined && { cause }),
    });
  }
}
