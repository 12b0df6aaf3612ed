import { HoldfastError } from '@holdfast/foundation';

/** The healer is closed. */
export class HealerClosedError extends HoldfastError {
  readonly code = 'OPERATIONS_HEALER_CLOSED';

  constructor() {
    super('the healer is closed; make a new one', { outcome: 'not-applied' });
  }
}

/** An action did not end within `actionTimeoutMs`. */
export class HealingTimeoutError extends HoldfastError {
  readonly code = 'OPERATIONS_HEALING_TIMEOUT';

  constructor(condition: string, target: string, timeoutMs: number) {
    super(`the action for ${condition} on ${target} has not ended in ${timeoutMs} ms`, {
      outcome: 'unknown',
    });
  }
}
