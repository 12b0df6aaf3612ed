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

/** What the upstream says to one request. */
export interface UpstreamResponse {
  /** From 200 to 599. Default 200. */
  status?: number;
  headers?: Readonly<Record<string, string>>;
  /** A string goes out as it is, anything else as JSON. Default: nothing. */
  body?: unknown;
  /** How long the answer is held back, in milliseconds. Default 0. */
  delayMs?: number;
}

/** An answer that is given some times before the next one's turn. */
export interface RepeatedResponse extends UpstreamResponse {
  /** From 1. Default 1. */
  times?: number;
}

/**
 * What the upstream says to requests of one method and path, such as
 * `{ method: 'GET', path: '/bundles/:id', first: [{ status: 503, times: 2 }], body: { ok: true } }`: its
 * own answer, after those of `first`. Of several routes that fit a request the earliest counts.
 */
export interface UpstreamRoute extends UpstreamResponse {
  /** In capitals, such as `POST`. Default: every method. */
  method?: string;
  /** `/` and segments: as they are, `:name` for any one, `*` at the end for any number of them. */
  path: string;
  /** Answers to the first requests, in their order, before its own. */
  first?: readonly RepeatedResponse[];
}

/** What can be said about requests as such. */
export interface UpstreamFaults {
  /** Share of requests, from 0 to 1, that are answered with 503. Default `FAILURE_RATE`, else 0. */
  failureRate?: number;
  /** How long every answer is held back, in milliseconds. Default `LATENCY_MS`, else 0. */
  latencyMs?: number;
  /** Where chance begins: the same seed, the same requests fail. Default 1. */
  seed?: number;
}

export interface UpstreamOptions extends UpstreamFaults {
  /** Without any, each request is answered with what it asked. */
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
  permitted: `a value that JSON can hold, up to ${MAX_BODY_CHARACTERS} characters of it`,
  parse(value, field, owner) {
    const written = writeJson(value);
    if (written !== undefined && written.length <= MAX_BODY_CHARACTERS) return value;
    throw new InvalidOptionError(owner, field, value, this.permitted);
  },
  defaultValue: () => undefined,
};

/** `undefined` for what JSON cannot hold: functions, symbols, big integers, circles. */
function writeJson(value: unknown): string | undefined {
  try {
    return JSON.stringify(value);
  } catch {
    return undefined;
  }
}

const methodRule: OptionRule<string> = {
  permitted: 'a method in capitals, such as GET',
  parse(value, field, owner) {
    if (typeof value === 'string' && /^[A-Z]{1,20}$/.test(value)) return value;
    throw new InvalidOptionError(owner, field, value, this.permitted);
  },
};

const pathRule: OptionRule<string> = {
  permitted: `a path pattern: '/', then segments, ':name' for any one, '*' at the end for the rest`,
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
};

/** An answer with its defaults. */
export interface ResolvedResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: unknown;
  readonly delayMs: number;
}

export interface ResolvedRoute extends ResolvedResponse {
  readonly method: string | undefined;
  readonly path: string;
  readonly first: readonly (ResolvedResponse & { readonly times: number })[];
}

/** All that an upstream is told. */
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
 * Options over the environment variables that a container is told them by, over the defaults.
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
