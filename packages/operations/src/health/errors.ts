import { HoldfastError } from '@holdfast/foundation';

/** A health check did not end within its deadline; it counts as failed. */
export class HealthCheckTimeoutError extends HoldfastError {
  readonly code = 'OPERATIONS_HEALTH_CHECK_TIMEOUT';
  readonly component: string;

  constructor(component: string, timeoutMs: number) {
    super(`the health check of ${component} has not ended in ${timeoutMs} ms`, {
      retryable: true,
      outcome: 'unknown',
    });
    this.component = component;
  }
}

/** The server of the probes could not listen, or its thread ended. */
export class ProbeServerError extends HoldfastError {
  readonly code = 'OPERATIONS_PROBE_SERVER_FAILED';

  constructor(reason: string, cause?: unknown) {
    super(`the server of the health probes: ${reason}`, cause === undefined ? {} : { cause });
  }
}

/** A step of a drain did not end in its time; the later steps were still run. */
export class DrainStepTimeoutError extends HoldfastError {
  readonly code = 'OPERATIONS_DRAIN_STEP_TIMEOUT';
  readonly step: string;

  constructor(step: string, timeoutMs: number) {
    super(`${step} was not closed in ${timeoutMs} ms; the drain went on without it`, {
      outcome: 'unknown',
    });
    this.step = step;
  }
}
