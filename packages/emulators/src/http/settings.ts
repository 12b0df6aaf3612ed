import {
  InvalidOptionError,
  type OptionRule,
  integer,
  object,
  number,
  optional,
  parseOptions,
} from '@holdfast/foundation';
import { listOf } from '../options/list-rule.ts';
import { parsePattern } from './path-pattern.ts';
import { type ResolvedWire, type UpstreamWire, wireRule } from './wire.ts';

/** The response to a request. */
export interface UpstreamResponse {
  /** From 200 to 599. Default 200. */
  status?: number;
  headers?: Readonly<Record<string, string>>;
  /** A string is sent as it is, any other value as JSON. Default: empty. */
  body?: unknown;
  /** The delay of the response. Default 0. */
  delayMs?: number;
  /** Faults of the connection and of the body's encoding. */
  wire?: UpstreamWire;
}

/** A response that is sent a number of times before the next one. */
export interface RepeatedResponse extends UpstreamResponse {
  /** From 1. Default 1. */
  times?: number;
}

/**
 * The responses to requests of one method and path, such as
 * `{ method: 'GET', path: '/bundles/:id', first: [{ status: 503, times: 2 }], body: { ok: true } }`:
 * those of `first`, then its own. The first route that matches a request counts.
 */
export interface UpstreamRoute extends UpstreamResponse {
  /** In upper case, such as `POST`. Default: every method. */
  method?: string;
  /** `/` and segments: literal, `:name` for any segment, or a final `*` for any number of them. */
  path: string;
  /** The responses to the first requests, in order. */
  first?: readonly RepeatedResponse[];
}

/** Faults of all requests. */
export interface UpstreamFaults {
  /** The share of requests, from 0 to 1, that get a 503. Default `FAILURE_RATE`, else 0. */
  failureRate?: number;
  /** The delay of every response. Default `LATENCY_MS`, else 0. */
  latencyMs?: number;
  /** The seed of the random failures: with the same seed, the same requests fail. Default 1. */
  seed?: number;
}

/** Options of the HTTP server. */
export interface UpstreamOptions extends UpstreamFaults {
  /** Without routes, each response echoes its request. */
  routes?: readonly UpstreamRoute[];
}

const MAX_ROUTES = 1_000;
const MAX_BODY_CHARACTERS = 1_048_576;
const LONGEST_MS = 3_600_000;

const delay = integer({ min: 0, max: LONGEST_MS, default: 0 });

const headersRule: OptionRule<Readonly<Record<string, string>>> = {
  permitted: 'an object from header names to strings of one line',
  parse(value, field, owner) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw new InvalidOptionError(owner, field, value, this.permitted);
    }
    const headers: Record<string, string> = {};
    for (const [name, content] of Object.entries(value)) {
      const isOne = typeof content === 'string' && /^[\t\x20-\x7e\x80-\xff]*$/.test(content);
      if (!/^[!#$%&'*+.^_`|~\w-]+$/.test(name) || !isOne) {
        throw new InvalidOptionError(owner, `${field}.${name}`, content, this.permitted);
      }
      headers[name] = content;
    }
    return headers;
  },
  defaultValue: () => ({}),
};

const bodyRule: OptionRule<unknown> = {
  permitted: `a value of at most ${MAX_BODY_CHARACTERS} characters as JSON`,
  parse(value, field, owner) {
    const written = writeJson(value);
    if (written !== undefined && written.length <= MAX_BODY_CHARACTERS) return value;
    throw new InvalidOptionError(owner, field, value, this.permitted);
  },
  defaultValue: () => undefined,
};

/** `undefined` for a value without a JSON form: functions, symbols, big integers, circular objects. */
function writeJson(value: unknown): string | undefined {
  try {
    return JSON.stringify(value);
  } catch {
    return undefined;
  }
}

const methodRule: OptionRule<string> = {
  permitted: 'a method in upper case, such as GET',
  parse(value, field, owner) {
    if (typeof value === 'string' && /^[A-Z]{1,20}$/.test(value)) return value;
    throw new InvalidOptionError(owner, field, value, this.permitted);
  },
};

const pathRule: OptionRule<string> = {
  permitted: `a path pattern: '/', then segments, ':name' for any segment, a final '*' for the rest`,
  parse(value, field, owner) {
    if (typeof value === 'string' && parsePattern(value) !== undefined) return value;
    throw new InvalidOptionError(owner, field, value, this.permitted);
  },
};

const responseShape = {
  status: integer({ min: 200, max: 599, default: 200 }),
  headers: headersRule,
  body: bodyRule,
  delayMs: delay,
  wire: wireRule,
};

/** A response with its defaults. */
export interface ResolvedResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: unknown;
  readonly delayMs: number;
  readonly wire?: ResolvedWire | undefined;
}

export interface ResolvedRoute extends ResolvedResponse {
  readonly method: string | undefined;
  readonly path: string;
  readonly first: readonly (ResolvedResponse & { readonly times: number })[];
}

/** The settings of the upstream program. */
export interface UpstreamSettings {
  readonly routes: readonly ResolvedRoute[];
  readonly failureRate: number;
  readonly latencyMs: number;
  readonly seed: number;
}

const repeatedShape = { ...responseShape, times: integer({ min: 1, max: 1_000_000, default: 1 }) };
const routeShape = {
  ...responseShape,
  method: optional(methodRule),
  path: pathRule,
  first: listOf(object(repeatedShape), MAX_ROUTES),
};
const share = { min: 0, max: 1 };
const settingsShape = {
  routes: listOf(object(routeShape), MAX_ROUTES),
  failureRate: number({ ...share, default: 0 }),
  latencyMs: delay,
  seed: integer({ min: 0, max: 4_294_967_295, default: 1 }),
};
const variables = [
  ['FAILURE_RATE', 'failureRate', number(share)],
  ['LATENCY_MS', 'latencyMs', delay],
] as const;

/**
 * Options override environment variables, which override the defaults.
 * @throws InvalidOptionError naming the field, from `path` on, or the variable.
 */
export function parseUpstreamSettings(
  owner: string,
  given: unknown,
  env: Readonly<Record<string, string | undefined>>,
  path?: string,
): UpstreamSettings {
  const fromEnvironment = variables.flatMap(([variable, option, rule]) => {
    const text = env[variable];
    if (text === undefined || text === '') return [];
    const value = Number(text);
    return [[option, rule.parse(Number.isNaN(value) ? text : value, variable, owner)] as const];
  });
  const base: object = Object.fromEntries(fromEnvironment);
  const isPlain = typeof given === 'object' && given !== null && !Array.isArray(given);
  return parseOptions(owner, settingsShape, isPlain ? { ...base, ...given } : given, path);
}
