import { InvalidOptionError, boolean, integer, propertyOf } from '@holdfast/foundation';
import { LONGEST_MS } from '../options.ts';
import type { ResilientRequestInit } from '../resilient-fetch.ts';
import { type RequestBody, NO_BODY, toRequestBody } from '../body/request-body.ts';

const OWNER = 'resilientFetch';

/** A request as parsed from the arguments of `fetch`. */
export interface FetchRequest {
  readonly url: URL;
  readonly method: string;
  readonly headers: Headers;
  readonly body: RequestBody;
  readonly redirect: 'follow' | 'error' | 'manual';
  readonly signal: AbortSignal | undefined;
  readonly timeoutMs: number | undefined;
  /** Whether doing it twice is as doing it once. */
  readonly isIdempotent: boolean;
}

const OWN_FIELDS = ['timeoutMs', 'idempotent'];
const USED_FIELDS = ['method', 'headers', 'body', 'redirect', 'signal', 'duplex'];
/** Of a browser: without effect in a server, as in the fetch of Node. */
const IDLE_FIELDS = [
  'credentials',
  'mode',
  'cache',
  'referrer',
  'referrerPolicy',
  'keepalive',
  'priority',
  'window',
];
const FIELDS = new Set([...USED_FIELDS, ...OWN_FIELDS, ...IDLE_FIELDS]);
const IDEMPOTENT = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE']);
const UPPER_CASED = new Set([...IDEMPOTENT, 'POST', 'PATCH']);
/** They frame the message, which is the transport's part. */
const FRAMING = [
  'connection',
  'expect',
  'keep-alive',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
];

/** @throws InvalidOptionError naming the field */
export function parseRequest(
  input: string | URL | Request,
  init: ResilientRequestInit | undefined,
): FetchRequest {
  if (init !== undefined && (typeof init !== 'object' || init === null)) {
    throw new InvalidOptionError(OWNER, 'init', init, 'an object');
  }
  for (const key of Object.keys(init ?? {})) {
    if (FIELDS.has(key) || propertyOf(init, key) === undefined) continue;
    const known = `one of the known fields (${[...FIELDS].join(', ')})`;
    throw new InvalidOptionError(OWNER, key, propertyOf(init, key), known);
  }
  const given = isRequest(input) ? input : undefined;
  const url = parseUrl(given === undefined ? input : given.url);
  const method = parseMethod(init?.method ?? given?.method ?? 'GET');
  const headers = parseHeaders(init?.headers ?? given?.headers);
  const body = toRequestBody(init?.body === undefined ? given?.body : init.body, headers);
  if (body.kind !== 'none' && (method === 'GET' || method === 'HEAD')) {
    throw new InvalidOptionError(OWNER, 'body', 'a body', `left out with ${method}`);
  }
  return {
    url,
    method,
    headers,
    body,
    redirect: parseRedirect(init?.redirect ?? given?.redirect ?? 'follow'),
    signal: parseSignal(init?.signal === undefined ? given?.signal : init.signal),
    timeoutMs: parseTimeout(init?.timeoutMs),
    isIdempotent: parseIdempotent(init?.idempotent, method, headers),
  };
}

/** The next hop of a redirect. */
export function redirected(
  request: FetchRequest,
  url: URL,
  method: string,
  headers: Headers,
): FetchRequest {
  const body = method === request.method ? request.body : NO_BODY;
  return { ...request, url, method, headers, body };
}

/** A URL as it may appear in an error: without query, fragment and credentials. */
function redactUrl(text: string): string {
  return text.replace(/[?#].*$/s, '').replace(/^([a-z][a-z0-9+.-]*:\/*)[^/]*@/i, '$1');
}

function isRequest(input: unknown): input is Request {
  return (
    typeof input === 'object' &&
    input !== null &&
    typeof propertyOf(input, 'url') === 'string' &&
    typeof propertyOf(input, 'method') === 'string'
  );
}

const PERMITTED_URL =
  'an absolute http: or https: URL with a valid hostname and without credentials';

/** @throws InvalidOptionError with the URL redacted */
function parseUrl(input: unknown): URL {
  const text = input instanceof URL ? input.href : input;
  const url = typeof text === 'string' && URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !isHttp(url) || !isHostname(url.hostname) || url.port === '0') {
    const shown = typeof text === 'string' ? redactUrl(text) : text;
    throw new InvalidOptionError(OWNER, 'url', shown, PERMITTED_URL);
  }
  if (url.username !== '' || url.password !== '') {
    const permitted = `${PERMITTED_URL}; send them as a header instead`;
    throw new InvalidOptionError(OWNER, 'url', redactUrl(url.href), permitted);
  }
  return url;
}

export function isHttp(url: URL): boolean {
  return url.protocol === 'http:' || url.protocol === 'https:';
}

/** By the lengths of RFC 1035; the URL has made sure of the characters. */
export function isHostname(hostname: string): boolean {
  if (hostname.startsWith('[')) return true;
  const name = hostname.endsWith('.') ? hostname.slice(0, -1) : hostname;
  if (name === '' || name.length > 253) return false;
  return name.split('.').every((label) => label.length > 0 && label.length <= 63);
}

function parseMethod(method: unknown): string {
  const permitted = 'a method such as GET, and none of CONNECT, TRACE and TRACK';
  if (typeof method !== 'string' || !/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,50}$/.test(method)) {
    throw new InvalidOptionError(OWNER, 'method', method, permitted);
  }
  const upper = method.toUpperCase();
  if (upper === 'CONNECT' || upper === 'TRACE' || upper === 'TRACK') {
    throw new InvalidOptionError(OWNER, 'method', method, permitted);
  }
  return UPPER_CASED.has(upper) ? upper : method;
}

function parseHeaders(given: RequestInit['headers'] | Headers): Headers {
  let headers: Headers;
  try {
    headers = new Headers(given);
  } catch {
    // The message of the platform shows the value, which may be a secret.
    throw new InvalidOptionError(
      OWNER,
      'headers',
      'another value',
      'valid header names and values',
    );
  }
  for (const name of FRAMING) {
    if (!headers.has(name)) continue;
    const permitted = 'left out, because the transport frames the message';
    throw new InvalidOptionError(OWNER, `headers.${name}`, 'a value', permitted);
  }
  return headers;
}

function parseRedirect(redirect: unknown): FetchRequest['redirect'] {
  if (redirect === 'follow' || redirect === 'error' || redirect === 'manual') return redirect;
  throw new InvalidOptionError(OWNER, 'redirect', redirect, `'follow', 'error' or 'manual'`);
}

function parseSignal(signal: unknown): AbortSignal | undefined {
  if (signal === undefined || signal === null) return undefined;
  if (signal instanceof AbortSignal) return signal;
  throw new InvalidOptionError(OWNER, 'signal', signal, 'an AbortSignal');
}

const timeoutRule = integer({ min: 1, max: LONGEST_MS });
const idempotentRule = boolean(false);

function parseTimeout(timeoutMs: unknown): number | undefined {
  return timeoutMs === undefined ? undefined : timeoutRule.parse(timeoutMs, 'timeoutMs', OWNER);
}

function parseIdempotent(given: unknown, method: string, headers: Headers): boolean {
  if (given !== undefined) return idempotentRule.parse(given, 'idempotent', OWNER);
  return IDEMPOTENT.has(method) || (headers.get('idempotency-key') ?? '') !== '';
}
