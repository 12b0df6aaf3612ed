/**
 * The wait that a server requests, in milliseconds: the error's own `retryAfterMs`, or
 * the `Retry-After` header it carries (`headers` or `response.headers`; seconds or an HTTP date, RFC
 * 9110 section 10.2.3). Without an upper limit: a server may send any value.
 * @param epochMs the current wall clock, for an HTTP date.
 */
export function retryAfterMsOf(error: unknown, epochMs: number): number | undefined {
  const stated = property(error, 'retryAfterMs');
  if (typeof stated === 'number' && stated >= 0) return stated;
  const header =
    headerOf(property(error, 'headers')) ??
    headerOf(property(property(error, 'response'), 'headers')) ??
    headerOf(property(property(error, '$response'), 'headers'));
  return header === undefined ? undefined : parseRetryAfter(header, epochMs);
}

/**
 * Parses a `Retry-After` header; `undefined` if it is neither seconds nor a date.
 * @param epochMs the current wall clock, for an HTTP date.
 */
export function parseRetryAfter(header: string, epochMs: number): number | undefined {
  const trimmed = header.trim();
  if (/^\d+(?:\.\d+)?$/.test(trimmed)) return Number(trimmed) * 1_000;
  // `Date.parse` also accepts bare digits and signs; an HTTP date begins with the name of a day.
  if (!/^[A-Za-z]{3}/.test(trimmed)) return undefined;
  const dateMs = Date.parse(trimmed);
  return Number.isNaN(dateMs) ? undefined : Math.max(0, dateMs - epochMs);
}

function headerOf(headers: unknown): string | undefined {
  if (typeof headers !== 'object' || headers === null) return undefined;
  const get = property(headers, 'get');
  const value: unknown =
    typeof get === 'function'
      ? Reflect.apply(get, headers, ['retry-after'])
      : (property(headers, 'retry-after') ?? property(headers, 'Retry-After'));
  const first: unknown = Array.isArray(value) ? value[0] : value;
  if (typeof first === 'number') return String(first);
  return typeof first === 'string' ? first : undefined;
}

function property(value: unknown, key: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, key) : undefined;
}
