/** What came of a call, as a value: nothing is thrown and no error is made for a refusal. */
export type CallOutcome<T> = Succeeded<T> | Failed | Refused | Aborted;

export interface Succeeded<T> {
  readonly kind: 'value';
  readonly value: T;
}

/** The work was started and failed. */
export interface Failed {
  readonly kind: 'failure';
  readonly error: unknown;
}

/** The work was not started. */
export interface Refused {
  readonly kind: 'refused';
  readonly policy: RefusingPolicy;
  /** When it is worth calling again, in milliseconds from now; absent when nobody knows. */
  readonly retryAfterMs?: number;
  /** What would have been thrown, where it was made already. */
  readonly error?: unknown;
}

export type RefusingPolicy = 'circuit-breaker' | 'bulkhead' | 'rate-limiter';

/** The caller's own signal ended the call. */
export interface Aborted {
  readonly kind: 'aborted';
  readonly reason: unknown;
}
