import { errorChain, propertyOf } from '../errors/error-chain.ts';

/**
 * The wait that a server requests, in milliseconds: the `retryAfterMs` of the error or of one of its causes, or the
 * header that it carries (`headers` or `metadata`, its own or its response's): `retry-after-ms`, or `Retry-After` in
 * seconds or as an HTTP date (RFC 9110 section 10.2.3). Without an upper limit: a server may send any value.
 * @param epochMs the current wall clock, for an HTTP date.
 */
export function retryAfterMsOf(error: unknown, epochMs: number): number | undefined {
  for (const inspected of errorChain(error)) {
    const stated = propertyOf(inspected, 'retryAfterMs');
    if (typeof stated === 'number' && stated >= 0) return stated;
    for (const headers of headersOf(inspected)) {
      const requestedMs = requestedBy(headers, epochMs);
      if (requestedMs !== undefined) return requestedMs;
    }
  }
  return undefined;
}

/**
 * Parses a `Retry-After` header; `undefined` if it is neither seconds nor a date.
 * @param epochMs the current wall clock, for an HTTP date.
 */
export function parseRetryAfter(header: string, epochMs: number): number | undefined {
  const seconds = parseNumber(header);
  if (seconds !== undefined) return seconds * 1_000;
  const trimmed = header.trim();
  // `Date.parse` also accepts bare digits and signs; an HTTP date begins with the name of a day.
  if (!/^[A-Za-z]{3}/.test(trimmed)) return undefined;
  const dateMs = Date.parse(trimmed);
  return Number.isNaN(dateMs) ? undefined : Math.max(0, dateMs - epochMs);
}

function requestedBy(headers: unknown, epochMs: number): number | undefined {
  for (const name of ['retry-after-ms', 'x-ms-retry-after-ms']) {
    const precise = headerOf(headers, name);
    const milliseconds = precise === undefined ? undefined : parseNumber(precise);
    if (milliseconds !== undefined) return milliseconds;
  }
  const header = headerOf(headers, 'retry-after');
  return header === undefined ? undefined : parseRetryAfter(header, epochMs);
}

function parseNumber(text: string): number | undefined {
  return /^\d+(?:\.\d+)?$/.test(text.trim()) ? Number(text) : undefined;
}

/** Where clients keep the headers of a response, or the metadata of gRPC. */
function headersOf(error: object): unknown[] {
  return [
    propertyOf(error, 'headers'),
    propertyOf(propertyOf(error, 'response'), 'headers'),
    propertyOf(propertyOf(error, '$response'), 'headers'),
    propertyOf(error, 'metadata'),
  ].filter((headers) => typeof headers === 'object' && headers !== null);
}

/** The header of a `Headers`, of gRPC metadata, or of an object in whatever case. */
function headerOf(headers: unknown, name: string): string | undefined {
  const value = valueOf(headers, name);
  const first: unknown = Array.isArray(value) ? value[0] : value;
  return typeof first === 'string' || typeof first === 'number' ? String(first) : undefined;
}

function valueOf(headers: unknown, name: string): unknown {
  const get = propertyOf(headers, 'get');
  try {
    if (typeof get === 'function') return Reflect.apply(get, headers, [name]);
    const key = Object.keys(Object(headers)).find((given) => given.toLowerCase() === name);
    return key === undefined ? undefined : propertyOf(headers, key);
  } catch {
    return undefined;
  }
}
