/** The outcome of a call as a value: nothing is thrown, and a refusal creates no error. */
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
  /** When to call again, in milliseconds from now; absent when unknown. */
  readonly retryAfterMs?: number;
  /** The error that would have been thrown, if it exists already. */
  readonly error?: unknown;
}

export type RefusingPolicy = 'circuit-breaker' | 'bulkhead' | 'rate-limiter';

/** The caller's own signal aborted the call. */
export interface Aborted {
  readonly kind: 'aborted';
  readonly reason: unknown;
}
