import { types } from 'node:util';
import { isHoldfastError } from '@holdfast/foundation';

/**
 * The kind of failure that an error stands for, whatever its source: `node:net`, `node:dns`, `node:tls`, undici's
 * `fetch`, an HTTP client that puts the status on its error, or Holdfast itself.
 */
export type ErrorKind = (typeof errorKinds)[number];

/** Every kind, from the most to the least likely to pass. */
export const errorKinds = [
  /** No answer within the time allowed. */
  'network_timeout',
  /** No connection, or it broke: refused, reset, unreachable, name not resolved. */
  'network_error',
  /** HTTP 504. */
  'gateway_timeout',
  /** HTTP 503. */
  'service_unavailable',
  /** HTTP 429. */
  'rate_limited',
  /** Any other HTTP 5xx except 501 and 505. */
  'server_error',
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
  /** Any other HTTP 4xx, and 501 and 505: the server will respond the same again. */
  'client_error',
  /** The peer's certificate is invalid, or does not match the host name. */
  'certificate_error',
  /** A `TypeError` or `ReferenceError` of the caller's own code. */
  'programming_error',
  /** A Holdfast error with `retryable: false`. */
  'permanent',
  /** The caller's own signal. */
  'aborted',
] as const;

const codesByKind: Readonly<Partial<Record<ErrorKind, readonly string[]>>> = {
  network_timeout: [
    'ETIMEDOUT',
    'ESOCKETTIMEDOUT',
    'ETIMEOUT',
    'UND_ERR_CONNECT_TIMEOUT',
    'UND_ERR_HEADERS_TIMEOUT',
    'UND_ERR_BODY_TIMEOUT',
    'ERR_HTTP_REQUEST_TIMEOUT',
    'TIMEOUT',
    'RESILIENCE_TIMEOUT',
  ],
  network_error: [
    'ECONNREFUSED',
    'ECONNRESET',
    'ECONNABORTED',
    'ENOTCONN',
    'EPIPE',
    'EHOSTUNREACH',
    'EHOSTDOWN',
    'ENETUNREACH',
    'ENETDOWN',
    'ENETRESET',
    'EPROTO',
    'EAI_AGAIN',
    'EAI_FAIL',
    'EAI_NODATA',
    'ENODATA',
    'ENOTFOUND',
    'ESERVFAIL',
    'EREFUSED',
    'ERR_STREAM_PREMATURE_CLOSE',
    'ERR_HTTP2_STREAM_ERROR',
    'ERR_HTTP2_SESSION_ERROR',
    'ERR_HTTP2_GOAWAY_SESSION',
    'HPE_INVALID_EOF_STATE',
    'UND_ERR_SOCKET',
    'UND_ERR_RES_CONTENT_LENGTH_MISMATCH',
  ],
  resource_exhausted: ['EMFILE', 'ENFILE', 'ENOMEM', 'ENOBUFS', 'EADDRNOTAVAIL', 'EAGAIN'],
  certificate_error: [
    'CERT_HAS_EXPIRED',
    'CERT_NOT_YET_VALID',
    'CERT_REVOKED',
    'CERT_UNTRUSTED',
    'CERT_REJECTED',
    'CERT_SIGNATURE_FAILURE',
    'DEPTH_ZERO_SELF_SIGNED_CERT',
    'SELF_SIGNED_CERT_IN_CHAIN',
    'UNABLE_TO_GET_ISSUER_CERT',
    'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
    'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
    'ERR_TLS_CERT_ALTNAME_INVALID',
  ],
  programming_error: ['ERR_INVALID_ARG_TYPE', 'ERR_INVALID_ARG_VALUE', 'ERR_INVALID_URL'],
  aborted: ['ABORT_ERR', 'UND_ERR_ABORTED', 'RESILIENCE_HEDGE_LOST'],
  exhausted: ['RESILIENCE_RETRY_EXHAUSTED'],
  refused: [
    'RESILIENCE_CIRCUIT_OPEN',
    'RESILIENCE_BULKHEAD_FULL',
    'RESILIENCE_BULKHEAD_TIMEOUT',
    'RESILIENCE_BULKHEAD_CLEARED',
    'RESILIENCE_BULKHEAD_CLOSED',
    'RATE_LIMIT_EXCEEDED',
    'RESILIENCE_RATE_LIMITER_CLOSED',
    'RESILIENCE_LIMIT_EXCEEDED',
    'RESILIENCE_THROTTLED',
  ],
};

const kindByCode: ReadonlyMap<string, ErrorKind> = new Map(
  errorKinds.flatMap((kind) => (codesByKind[kind] ?? []).map((code) => [code, kind] as const)),
);

/** The length of the chain of causes that is searched. */
const CAUSE_DEPTH = 8;

/** Kinds that the error's own `retryable` does not override. */
const finalKinds: ReadonlySet<ErrorKind> = new Set<ErrorKind>([
  'exhausted',
  'client_error',
  'certificate_error',
  'programming_error',
  'aborted',
]);

/**
 * Returns the kind by codes, statuses and names along the chain of causes; never by the message, and never by
 * `instanceof`, which fails between realms.
 */
export function classifyError(error: unknown): ErrorKind {
  if (!isHoldfastError(error)) return classifyForeign(error) ?? 'unknown';
  if (isRefusal(error)) return 'refused';
  const kind = classifyForeign(error);
  if (error.retryable) return kind === undefined || finalKinds.has(kind) ? 'transient' : kind;
  return kind !== undefined && finalKinds.has(kind) ? kind : 'permanent';
}

/**
 * Whether a policy of Holdfast refused the call before it was sent. That says nothing about the dependency, so a
 * circuit breaker ignores it.
 */
export function isRefusal(error: unknown): boolean {
  return isHoldfastError(error) && kindByCode.get(error.code) === 'refused';
}

function classifyForeign(error: unknown): ErrorKind | undefined {
  let inspected = error;
  for (let depth = 0; depth < CAUSE_DEPTH && isObject(inspected); depth += 1) {
    const kind = classifyOne(inspected);
    if (kind !== undefined) return kind;
    const inner = property(inspected, 'cause') ?? firstOf(property(inspected, 'errors'));
    if (inner === undefined) {
      return isProgrammingError(inspected) ? 'programming_error' : undefined;
    }
    inspected = inner;
  }
  return undefined;
}

function classifyOne(error: object): ErrorKind | undefined {
  const code = property(error, 'code');
  const byCode = typeof code === 'string' ? kindByCode.get(code) : undefined;
  if (byCode !== undefined) return byCode;
  const name = property(error, 'name');
  if (name === 'AbortError') return 'aborted';
  if (name === 'TimeoutError') return 'network_timeout';
  const status = httpStatusOf(error);
  return status === undefined ? undefined : classifyStatus(status);
}

/** The HTTP status of an error, from one of the properties that clients use. */
function httpStatusOf(error: unknown): number | undefined {
  const candidates = [
    property(error, 'status'),
    property(error, 'statusCode'),
    property(property(error, 'response'), 'status'),
    property(property(error, '$metadata'), 'httpStatusCode'),
  ];
  return candidates.find((status): status is number => Number.isInteger(status));
}

/** The kind of an HTTP status; `undefined` for a status that is not a failure. */
export function classifyStatus(status: number): ErrorKind | undefined {
  if (status < 400 || status > 599) return undefined;
  switch (status) {
    case 408:
      return 'network_timeout';
    case 429:
      return 'rate_limited';
    case 501:
    case 505:
      return 'client_error';
    case 503:
      return 'service_unavailable';
    case 504:
      return 'gateway_timeout';
    default:
      return status < 500 ? 'client_error' : 'server_error';
  }
}

function isProgrammingError(error: object): boolean {
  const name = property(error, 'name');
  return types.isNativeError(error) && (name === 'TypeError' || name === 'ReferenceError');
}

function firstOf(value: unknown): unknown {
  return Array.isArray(value) ? value[0] : undefined;
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}

function property(value: unknown, key: string): unknown {
  return isObject(value) ? Reflect.get(value, key) : undefined;
}
