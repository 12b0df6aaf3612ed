/** The outcome of a call as a value: nothing is thrown, and a refusal creates no error. */
export type CallOutcome<T> = Succeeded<T> | Failed | Refused | Aborted;

/** The call has returned a value. */
export interface Succeeded<T> {
  readonly kind: 'value';
  readonly value: T;
}

/** The work was started and failed, at least once; a later attempt may have been refused. */
export interface Failed {
  readonly kind: 'failure';
  readonly error: unknown;
}

/** The work was not started, by any attempt. */
export interface Refused {
  readonly kind: 'refused';
  readonly policy: RefusingPolicy;
  /** When to call again, in milliseconds from now; absent when unknown. */
  readonly retryAfterMs?: number;
  /** The error that would have been thrown, if it exists already. */
  readonly error?: unknown;
}

/** The policy that refused a call before its work was started. */
export type RefusingPolicy = 'circuit-breaker' | 'bulkhead' | 'rate-limiter' | 'stack';

/** The caller's own signal aborted the call. What an attempt came to that was started before is unknown. */
export interface Aborted {
  readonly kind: 'aborted';
  readonly reason: unknown;
}
