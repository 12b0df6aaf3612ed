/** The kind of failure that an error stands for, whatever client or server it came from. */
export type ErrorKind = (typeof errorKinds)[number];

/** Every kind, from the most to the least likely to pass. */
export const errorKinds = [
  /** No answer within the time allowed: a deadline of the client, HTTP 408, SQLSTATE 57014, gRPC 4. */
  'network_timeout',
  /** No connection, or it broke: refused, reset, unreachable, name not resolved, an answer cut off. */
  'network_error',
  /** HTTP 504. */
  'gateway_timeout',
  /** The server cannot serve now: HTTP 503, SQLSTATE 57P01 or 53300, `LOADING`, gRPC 14. */
  'service_unavailable',
  /** HTTP 429, an AWS throttling error, gRPC 8. */
  'rate_limited',
  /** Any other HTTP 5xx except 501 and 505; SQLSTATE XX000, gRPC 13. */
  'server_error',
  /** Another change came first, and the same call may succeed now: SQLSTATE 40001 or 40P01, gRPC 10. */
  'conflict',
  /** This process ran out of descriptors, memory, ports or buffers. */
  'resource_exhausted',
  /** A Holdfast error with `retryable: true`. */
  'transient',
  /** An error without a known code, status or name. */
  'unknown',
  /** A policy of Holdfast refused the call before it was sent. */
  'refused',
  /** An inner retry has already given up. */
  'exhausted',
  /** The server will respond the same again: any other HTTP 4xx, 501 and 505; SQLSTATE 23505 or 42601, gRPC 3. */
  'client_error',
  /** The peer's certificate is invalid, or does not match the host name. */
  'certificate_error',
  /** A `TypeError` or `ReferenceError` of the caller's own code. */
  'programming_error',
  /** A Holdfast error with `retryable: false` and `outcome: 'unknown'`: whether to repeat it is the caller's decision. */
  'outcome_unknown',
  /** Any other Holdfast error with `retryable: false`. */
  'permanent',
  /** The caller's own signal. */
  'aborted',
] as const;
