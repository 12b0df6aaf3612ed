import { HoldfastError } from '@holdfast/foundation';

/** The catalog took too long for one request. */
export class CatalogRequestTimeoutError extends HoldfastError {
  readonly code = 'CATALOG_REQUEST_TIMEOUT';

  constructor(timeoutMs: number) {
    super(`catalog: no answer within requestTimeoutMs (${timeoutMs})`, {
      retryable: true,
      outcome: 'not-applied',
    });
  }
}

/** `/events` has as many clients as it may have: ask `/status` from time to time instead. */
export class CatalogEventsFullError extends HoldfastError {
  readonly code = 'CATALOG_EVENTS_FULL';

  constructor(maxClients: number) {
    super(
      `catalog: /events has its maxEventClients (${maxClients}); ask /status every few seconds instead`,
      { retryable: true, outcome: 'not-applied' },
    );
  }
}
