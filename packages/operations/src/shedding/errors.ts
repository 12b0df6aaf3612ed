import { HoldfastError } from '@holdfast/foundation';
import type { PriorityClass, ShedReason } from './shedding.ts';

/** The service has more to do than it can; the request was not started. */
export class LoadShedError extends HoldfastError {
  readonly code = 'OPERATIONS_LOAD_SHED';
  readonly priority: PriorityClass;
  readonly reason: ShedReason;

  constructor(priority: PriorityClass, reason: ShedReason, retryAfterMs: number) {
    super(`the service is overloaded (${reason}); this ${priority} request was not started`, {
      retryable: true,
      outcome: 'not-applied',
      retryAfterMs,
    });
    this.priority = priority;
    this.reason = reason;
  }
}
