import { HoldfastError } from '@holdfast/foundation';

/** All slots are taken and the queue is full, or a more urgent call took the place in it. */
export class BulkheadFullError extends HoldfastError {
  readonly code = 'RESILIENCE_BULKHEAD_FULL';

  constructor(bulkhead: string, seen: string, retryAfterMs?: number) {
    super(`bulkhead ${bulkhead}: ${seen}; the call was not started${hint(retryAfterMs)}`, {
      retryable: true,
      outcome: 'not-applied',
      ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    });
  }
}

/** No slot was released within `queueTimeoutMs`. */
export class BulkheadTimeoutError extends HoldfastError {
  readonly code = 'RESILIENCE_BULKHEAD_TIMEOUT';

  constructor(bulkhead: string, queueTimeoutMs: number, retryAfterMs?: number) {
    super(
      `bulkhead ${bulkhead}: no slot came free within ${queueTimeoutMs} ms; the call was not started` +
        hint(retryAfterMs),
      {
        retryable: true,
        outcome: 'not-applied',
        ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
      },
    );
  }
}

/** The queue was cleared while the call waited. */
export class BulkheadClearedError extends HoldfastError {
  readonly code = 'RESILIENCE_BULKHEAD_CLEARED';

  constructor(bulkhead: string) {
    super(`bulkhead ${bulkhead}: the queue was cleared; the call was not started`, {
      retryable: true,
      outcome: 'not-applied',
    });
  }
}

/** The bulkhead is closed. */
export class BulkheadClosedError extends HoldfastError {
  readonly code = 'RESILIENCE_BULKHEAD_CLOSED';

  constructor(bulkhead: string) {
    super(`bulkhead ${bulkhead} is closed; the call was not started`, { outcome: 'not-applied' });
  }
}

function hint(retryAfterMs: number | undefined): string {
  return retryAfterMs === undefined ? '' : `; worth another try in about ${retryAfterMs} ms`;
}
