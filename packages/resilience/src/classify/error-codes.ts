import { type ErrorKind, errorKinds } from './error-kind.ts';

const codesByKind: Readonly<Partial<Record<ErrorKind, readonly string[]>>> = {
  network_timeout: [
    'ETIMEDOUT',
    'ESOCKETTIMEDOUT',
    'ETIMEOUT',
    'ERR_SOCKET_CONNECTION_TIMEOUT',
    'UND_ERR_CONNECT_TIMEOUT',
    'UND_ERR_HEADERS_TIMEOUT',
    'UND_ERR_BODY_TIMEOUT',
    'ERR_HTTP_REQUEST_TIMEOUT',
    // postgres.js
    'CONNECT_TIMEOUT',
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
    'ERR_SOCKET_CLOSED',
    'ERR_SOCKET_CLOSED_BEFORE_CONNECTION',
    'ERR_STREAM_PREMATURE_CLOSE',
    'ERR_HTTP2_STREAM_ERROR',
    'ERR_HTTP2_STREAM_CANCEL',
    'ERR_HTTP2_SESSION_ERROR',
    'ERR_HTTP2_INVALID_SESSION',
    'ERR_HTTP2_GOAWAY_SESSION',
    'UND_ERR_SOCKET',
    'UND_ERR_SOCKS5',
    'UND_ERR_PRX_TLS',
    'UND_ERR_PRX_CONN',
    'UND_ERR_RES_CONTENT_LENGTH_MISMATCH',
    // axios
    'ERR_NETWORK',
    // got
    'ERR_READING_RESPONSE_STREAM',
    'ERR_HTTP_CONTENT_LENGTH_MISMATCH',
    // postgres.js
    'CONNECTION_CLOSED',
    'CONNECTION_DESTROYED',
    'CONNECTION_ENDED',
    // PostgREST, when it has no connection to Postgres
    'PGRST000',
  ],
  service_unavailable: ['PGRST001', 'PGRST002'],
  gateway_timeout: ['PGRST003'],
  resource_exhausted: ['EMFILE', 'ENFILE', 'ENOMEM', 'ENOBUFS', 'EADDRNOTAVAIL', 'EAGAIN'],
  client_error: ['ERR_FR_TOO_MANY_REDIRECTS', 'ERR_TOO_MANY_REDIRECTS', 'UND_ERR_REDIRECT_MAX'],
  certificate_error: [
    'CERT_HAS_EXPIRED',
    'CERT_NOT_YET_VALID',
    'CERT_REVOKED',
    'CERT_UNTRUSTED',
    'CERT_REJECTED',
    'CERT_SIGNATURE_FAILURE',
    'CERT_CHAIN_TOO_LONG',
    'CRL_HAS_EXPIRED',
    'CRL_NOT_YET_VALID',
    'DEPTH_ZERO_SELF_SIGNED_CERT',
    'HOSTNAME_MISMATCH',
    'INVALID_CA',
    'INVALID_PURPOSE',
    'SELF_SIGNED_CERT_IN_CHAIN',
    'UNABLE_TO_GET_CRL',
    'UNABLE_TO_GET_ISSUER_CERT',
    'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
    'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
    'ERR_TLS_CERT_ALTNAME_INVALID',
  ],
  programming_error: [
    'ERR_INVALID_ARG_TYPE',
    'ERR_INVALID_ARG_VALUE',
    'ERR_INVALID_URL',
    'ERR_INVALID_PROTOCOL',
    'ERR_BAD_OPTION',
    'ERR_BAD_OPTION_VALUE',
    'ERR_UNSUPPORTED_PROTOCOL',
    'UND_ERR_INVALID_ARG',
    'UND_ERR_REQ_CONTENT_LENGTH_MISMATCH',
  ],
  aborted: [
    'ABORT_ERR',
    'UND_ERR_ABORT',
    'UND_ERR_ABORTED',
    'RESILIENCE_HEDGE_LOST',
    // axios, got, superagent
    'ERR_CANCELED',
    'ERR_ABORTED',
    'ABORTED',
    // node:dns
    'ECANCELLED',
  ],
  exhausted: ['RESILIENCE_RETRY_EXHAUSTED'],
  refused: [
    'RESILIENCE_CIRCUIT_OPEN',
    'RESILIENCE_BULKHEAD_FULL',
    'RESILIENCE_BULKHEAD_TIMEOUT',
    'RESILIENCE_BULKHEAD_CLEARED',
    'RESILIENCE_BULKHEAD_CLOSED',
    'RESILIENCE_STACK_CLOSED',
    'RATE_LIMIT_EXCEEDED',
    'RESILIENCE_RATE_LIMITER_CLOSED',
    'RESILIENCE_LIMIT_EXCEEDED',
    'RESILIENCE_THROTTLED',
  ],
};

const kindByCode: ReadonlyMap<string, ErrorKind> = new Map(
  errorKinds.flatMap((kind) => (codesByKind[kind] ?? []).map((code) => [code, kind] as const)),
);

/** The kind of an error's `code`; codes of the operating system, Node, undici and other HTTP clients. */
export function classifyCode(code: string): ErrorKind | undefined {
  const kind = kindByCode.get(code);
  if (kind !== undefined) return kind;
  // The codes of llhttp, Node's parser: what the server sent is not HTTP.
  if (code.startsWith('HPE_')) return 'network_error';
  // PostgREST: the request, the schema and the token are at fault.
  return /^PGRST[123]\d\d$/.test(code) ? 'client_error' : undefined;
}

const kindByName: ReadonlyMap<string, ErrorKind> = new Map([
  ['AbortError', 'aborted'],
  ['CanceledError', 'aborted'],
  ['CancelError', 'aborted'],
  // The SDKs of OpenAI and Anthropic
  ['APIUserAbortError', 'aborted'],
  ['APIConnectionTimeoutError', 'network_timeout'],
  ['TimeoutError', 'network_timeout'],
  ['HTTPParserError', 'network_error'],
  // supabase-js, when fetch has failed
  ['AuthRetryableFetchError', 'network_error'],
]);

/** The kind of an error by the name of its class, for clients whose errors have no code. */
export function classifyName(name: string): ErrorKind | undefined {
  return kindByName.get(name);
}
