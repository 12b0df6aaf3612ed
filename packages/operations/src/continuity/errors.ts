import { HoldfastError } from '@holdfast/foundation';

/** The service was not well before the test of its recovery; nothing was broken. */
export class NotSteadyError extends HoldfastError {
  readonly code = 'CONTINUITY_NOT_STEADY';
  readonly issues: readonly string[];

  constructor(issues: readonly string[]) {
    super(`the recovery is not tested, because the service is not well: ${issues.join('; ')}`, {
      outcome: 'not-applied',
    });
    this.issues = issues;
  }
}

/** The standby is too far behind to take over; nothing was done. */
export class StandbyBehindError extends HoldfastError {
  readonly code = 'CONTINUITY_STANDBY_BEHIND';

  constructor(lagMs: number, maxLagMs: number) {
    super(`the standby is ${lagMs} ms behind, over maxLagMs (${maxLagMs})`, {
      outcome: 'not-applied',
    });
  }
}
