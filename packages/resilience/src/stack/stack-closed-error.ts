import { HoldfastError } from '@holdfast/foundation';
import type { Refused } from '../call-outcome.ts';

/** The stack is closed. */
export class StackClosedError extends HoldfastError {
  readonly code = 'RESILIENCE_STACK_CLOSED';

  constructor(stack: string) {
    super(`stack ${stack} is closed; the call was not started`, { outcome: 'not-applied' });
  }
}

export function closedOutcome(stack: string): Refused {
  return { kind: 'refused', policy: 'stack', error: new StackClosedError(stack) };
}
