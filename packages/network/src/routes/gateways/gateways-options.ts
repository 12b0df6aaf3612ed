import {
  type Clock,
  InvalidOptionError,
  type OptionRule,
  callback,
  number,
  objectWith,
  oneOf,
  optional,
  parseOptions,
  systemClock,
} from '@holdfast/foundation';
import type { CircuitBreakerOptions } from '@holdfast/resilience';
import { anything, circuitRule } from '../../fetch/options.ts';
import { createResilientFetch } from '../../fetch/create-resilient-fetch.ts';
import type { ResilientFetch, ResilientFetchOptions } from '../../fetch/resilient-fetch.ts';
import { Sha256Verifier } from './sha256-verifier.ts';
import type {
  ContentVerifier,
  DownloadOptions,
  GatewayFetch,
  GatewaysOptions,
} from './gateways.ts';

const OWNER = 'createGateways';
const MAX_GATEWAYS = 64;
const HOUR_MS = 3_600_000;
const GIB = 1_073_741_824;
const bytes = { min: 1, max: 64 * GIB };
const milliseconds = (fallback: number, min = 1) =>
  number({ min, max: HOUR_MS, default: fallback });

const URLS = `1 to ${MAX_GATEWAYS} distinct URLs of http or https, without credentials, query and fragment`;
const urls: OptionRule<readonly string[]> = {
  permitted: URLS,
  parse(value, field, owner) {
    const isList = Array.isArray(value) && value.length >= 1 && value.length <= MAX_GATEWAYS;
    if (!isList) throw new InvalidOptionError(owner, field, value, URLS);
    const parsed = value.map((url: unknown, at) => parseBase(url, `${field}[${at}]`, owner));
    for (const [at, url] of parsed.entries()) {
      if (parsed.indexOf(url) === at) continue;
      throw new InvalidOptionError(
        owner,
        `${field}[${at}]`,
        url,
        'distinct from the other gateways',
      );
    }
    return parsed;
  },
};

/** Without a slash at its end. */
function parseBase(value: unknown, field: string, owner: string): string {
  const url = typeof value === 'string' && URL.canParse(value) ? new URL(value) : undefined;
  const isHttp = url?.protocol === 'http:' || url?.protocol === 'https:';
  if (url === undefined || !isHttp || url.search !== '' || url.hash !== '') {
    throw new InvalidOptionError(
      owner,
      field,
      value,
      'a URL of http or https, without query and fragment',
    );
  }
  if (url.username !== '' || url.password !== '') {
    const permitted = 'a URL without credentials; give them as headers';
    throw new InvalidOptionError(owner, field, `${url.origin}/…`, permitted);
  }
  return url.href.replace(/\/+$/, '');
}

const HEADERS = 'an object from header names to strings';
const headers: OptionRule<Readonly<Record<string, string>>> = {
  permitted: HEADERS,
  parse(value, field, owner) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw new InvalidOptionError(owner, field, value, HEADERS);
    }
    const given: Record<string, string> = {};
    for (const [name, content] of Object.entries(value)) {
      // The value may be a secret.
      if (typeof content !== 'string') {
        throw new InvalidOptionError(owner, `${field}.${name}`, typeof content, 'a string');
      }
      given[name.toLowerCase()] = content;
    }
    return given;
  },
  defaultValue: () => ({}),
};

type GatewayCircuit = Omit<CircuitBreakerOptions, 'name' | 'clock'>;

const OPEN_MS = 30_000;

/** What is left out is as by default. */
function gatewayCircuit(given: GatewayCircuit): GatewayCircuit {
  const openDurationMs = Math.min(OPEN_MS, given.maxOpenDurationMs ?? OPEN_MS);
  return { failureThreshold: 3, openDurationMs, ...given };
}

const schema = {
  gateways: urls,
  strategy: oneOf(['ordered', 'fastest'], 'ordered'),
  hedgeAfterMs: milliseconds(200, 0),
  fetch: optional(callback<GatewayFetch>()),
  // Validated by the fetch that is made of them.
  allowPrivate: optional(anything<NonNullable<ResilientFetchOptions['allowPrivate']>>()),
  resolver: optional(anything<NonNullable<ResilientFetchOptions['resolver']>>()),
  headers,
  circuitBreaker: optional(circuitRule<GatewayCircuit>(gatewayCircuit, ['classifyResult'])),
  maxBytes: number({ ...bytes, default: GIB / 16 }),
  timeoutMs: milliseconds(60_000),
  headTimeoutMs: milliseconds(10_000),
  stallTimeoutMs: milliseconds(10_000),
  clock: objectWith<Clock>(['now', 'epochMs', 'schedule'], systemClock),
};

const callSchema = {
  digest: optional(digestRule()),
  verify: optional(callback<() => ContentVerifier>()),
  headers,
  maxBytes: optional(number(bytes)),
  timeoutMs: optional(number({ min: 1, max: HOUR_MS })),
  signal: optional(objectWith<AbortSignal>(['throwIfAborted', 'addEventListener'])),
};

function digestRule(): OptionRule<Buffer> {
  const permitted = '`sha256-` and 44 characters of base64, or 64 hexadecimal digits';
  return {
    permitted,
    parse(value, field, owner) {
      if (typeof value === 'string') {
        if (/^[0-9a-f]{64}$/i.test(value)) return Buffer.from(value, 'hex');
        if (/^sha256-[\w+/-]{43}=$/.test(value)) return Buffer.from(value.slice(7), 'base64');
      }
      throw new InvalidOptionError(owner, field, value, permitted);
    },
  };
}

export interface ResolvedGatewaysOptions extends Readonly<
  Required<Omit<GatewaysOptions, 'circuitBreaker' | 'allowPrivate' | 'resolver'>>
> {
  readonly circuitBreaker: GatewayCircuit;
  /** Made here when no fetch is given; its owner closes it. */
  readonly ownFetch: ResilientFetch | undefined;
}

/** @throws InvalidOptionError */
export function parseGatewaysOptions(options: GatewaysOptions): ResolvedGatewaysOptions {
  const { fetch, allowPrivate, resolver, circuitBreaker, ...others } = parseOptions(
    OWNER,
    schema,
    options,
  );
  const resolved = { ...others, circuitBreaker: circuitBreaker ?? gatewayCircuit({}) };
  if (fetch === undefined) {
    const ownFetch = createResilientFetch({
      // The bounds of time and bytes are those of each download.
      timeoutMs: HOUR_MS,
      maxBodyBytes: bytes.max,
      retry: { maxAttempts: 1 },
      // Each gateway has its own, which knows when to ask again.
      circuitBreaker: false,
      clock: resolved.clock,
      ...(allowPrivate !== undefined && { allowPrivate }),
      ...(resolver !== undefined && { resolver }),
    });
    return { ...resolved, fetch: ownFetch, ownFetch };
  }
  for (const [field, value] of Object.entries({ allowPrivate, resolver })) {
    if (value !== undefined) {
      throw new InvalidOptionError(OWNER, field, value, 'left out with a fetch, which has its own');
    }
  }
  return { ...resolved, fetch, ownFetch: undefined };
}

export interface ResolvedDownload {
  readonly path: string;
  readonly createVerifier: (() => ContentVerifier) | undefined;
  readonly headers: Readonly<Record<string, string>>;
  readonly maxBytes: number;
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
}

/**
 * Whether it stays below the URL of a gateway. A second slash would begin the name of another host, and a segment of dots
 * leaves the prefix: in a URL, or behind it, where servers decode once more or cut off what follows a semicolon.
 */
function isContentPath(path: string): boolean {
  // oxlint-disable-next-line no-control-regex -- a URL is parsed without the ones at its end
  if (!/^\/(?![/\\])[^#\s\\\u0000-\u0020\u007f]*$/.test(path)) return false;
  const [beforeQuery = ''] = path.split('?', 1);
  let decoded = beforeQuery;
  for (let last = ''; last !== decoded;) {
    last = decoded;
    decoded = decoded.replace(/%(?:25|2e|2f|3b|5c)/gi, (code) => decodeURIComponent(code));
  }
  return !decoded.split(/[/\\]/).some((segment) => /^\.{1,2}(?:;.*)?$/.test(segment));
}

/** @throws InvalidOptionError */
export function parseDownload(
  owner: string,
  path: unknown,
  given: DownloadOptions | undefined,
  defaults: ResolvedGatewaysOptions,
): ResolvedDownload {
  if (typeof path !== 'string' || !isContentPath(path)) {
    const permitted =
      'a path that begins with one slash, without backslashes, spaces, fragment and the segments `.` and `..`';
    throw new InvalidOptionError(owner, 'path', path, permitted);
  }
  const { digest, verify, ...call } = parseOptions(owner, callSchema, given);
  if (digest !== undefined && verify !== undefined) {
    throw new InvalidOptionError(owner, 'verify', verify, 'left out when digest is given');
  }
  return {
    path,
    createVerifier: digest === undefined ? verify : () => new Sha256Verifier(digest),
    headers: { ...defaults.headers, ...call.headers },
    maxBytes: call.maxBytes ?? defaults.maxBytes,
    timeoutMs: call.timeoutMs ?? defaults.timeoutMs,
    signal: call.signal,
  };
}
