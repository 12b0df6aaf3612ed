import { type Backoff, InvalidOptionError } from '@holdfast/foundation';
import { ignoreRejection } from '../decision.ts';

export const permittedDelays = 'a number of milliseconds, 0 or more, for each delay';

/**
 * Refuses a schedule that has not enough delays, or others than finite numbers from 0. One that throws is left to the
 * call, whose failure it must not replace.
 * @param delays how many delays are used, at most.
 * @throws InvalidOptionError
 */
export function checkSchedule(owner: string, backoff: Backoff, delays: number): void {
  for (const [index, step] of drawn(backoff, delays).entries()) {
    const field = `backoff.delays[${index}]`;
    if (step.done === true) {
      const enough = `one of the ${delays} delays between maxAttempts`;
      throw new InvalidOptionError(owner, field, undefined, enough);
    }
    if (!isDelay(step.value))
      throw new InvalidOptionError(owner, field, step.value, permittedDelays);
  }
}

/** The delays up to the first that is no delay. */
function drawn(backoff: Backoff, count: number): IteratorResult<unknown>[] {
  const steps: IteratorResult<unknown>[] = [];
  try {
    const delays = backoff.delays(() => 0.5);
    ignoreRejection(delays);
    while (steps.length < count) {
      const step: IteratorResult<unknown> = delays.next();
      ignoreRejection(step);
      steps.push(step);
      if (step.done === true || !isDelay(step.value)) break;
    }
  } catch {
    // It may not throw in the call.
  }
  return steps;
}

export function isDelay(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0;
}
