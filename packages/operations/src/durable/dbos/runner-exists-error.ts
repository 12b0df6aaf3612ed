import { HoldfastError } from '@holdfast/foundation';

/** The process has a runner on DBOS already. */
export class RunnerExistsError extends HoldfastError {
  readonly code = 'DURABLE_RUNNER_EXISTS';

  constructor() {
    super('this process has a runner on DBOS already; share it, or close it first', {
      outcome: 'not-applied',
    });
  }
}
