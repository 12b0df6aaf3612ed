import { HoldfastError } from '@holdfast/foundation';

/** A call to a member, the lease or the discovery had no answer in time. */
export class FailoverTimeoutError extends HoldfastError {
  readonly code = 'OPERATIONS_FAILOVER_TIMEOUT';

  constructor(what: string, timeoutMs: number) {
    super(`${what} has not answered in ${timeoutMs} ms`, { retryable: true, outcome: 'unknown' });
  }
}

/** A resource, a route or a promotion of a later epoch is there: this one is over. */
export class FencedError extends HoldfastError {
  readonly code = 'OPERATIONS_FENCED';
  readonly epoch: number;

  constructor(what: string, epoch: number) {
    super(`${what} refuses epoch ${epoch}: a later one has begun, or this one never did`, {
      outcome: 'not-applied',
    });
    this.epoch = epoch;
  }
}

/** The route was not confirmed for so long that another primary may exist: nothing may be written by it. */
export class RouteExpiredError extends HoldfastError {
  readonly code = 'OPERATIONS_ROUTE_EXPIRED';

  constructor(service: string, ttlMs: number) {
    super(`the route of ${service} was not confirmed within ${ttlMs} ms; write when it is again`, {
      retryable: true,
      outcome: 'not-applied',
    });
  }
}
