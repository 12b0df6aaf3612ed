import {
  InvalidOptionError,
  type OptionRule,
  integer,
  number,
  oneOf,
  optional,
  parseOptions,
  string,
} from '@holdfast/foundation';
import { listOf } from '../../options/list-rule.ts';
import { withoutUndefined } from '../../options/without-undefined.ts';
import { type EsimGoFaultRule, esimGoFaultRulesRule } from './faults.ts';

/** The limit of requests in windows that begin at fixed times, for each address of a client. */
export interface EsimGoRateLimit {
  /** Tokens in a window. Default 10. */
  requests?: number;
  /** Default 1 000. */
  windowMs?: number;
  /** What a request costs. Default 1. */
  cost?: number;
}

/** What is not known of the real API is an option, so that a client can be tried against either answer. */
export interface EsimGoOptions {
  /** The value of `X-API-Key`. Default `holdfast`. */
  apiKey?: string;
  /** The status of a request without a valid key. Default 403. */
  invalidKeyStatus?: 401 | 403;
  /** The bundles, instead of those of the seed; broken ones are sent as they are. */
  bundles?: readonly unknown[];
  /** The bundles over all groups. Default 5 148, as in the live answer. */
  rows?: number;
  /** The seed of the bundles and of the random failures. Default 1. */
  seed?: number;
  /** How often the bundles of the seed have changed. Default 0. */
  revision?: number;
  /** The share of the bundles, from 0 to 1, whose price each revision changes. Default 0.01. */
  changedShare?: number;
  /** What bundles of the seed have as `roamingEnabled`. Default `absent`. */
  roaming?: 'absent' | 'countries' | 'codes' | 'boolean';
  /** The list in an object with its counts, as it is sent, or as a bare array, as documented. Default `object`. */
  envelope?: 'object' | 'array';
  /** The number of the first page. Default 1. */
  firstPage?: 0 | 1;
  /** Whether a page before the first one gets a 400 or the first page. Default `reject`. */
  belowFirstPage?: 'reject' | 'first';
  /** The rows of a page if none are asked for. Default 50. */
  defaultPerPage?: number;
  /** Default 5 000. */
  maxPerPage?: number;
  /** Whether more rows a page get a 401, as many as there may be, or what was asked. Default `clamp`. */
  overMaxPerPage?: 'reject' | 'clamp' | 'accept';
  /** Whether an `orderBy` that is not known gets a 400 or is ignored. Default `ignore`. */
  unknownOrderBy?: 'reject' | 'ignore';
  /** Default 10 requests a second; `false` for none. */
  rateLimit?: false | EsimGoRateLimit;
  /** The share of requests, from 0 to 1, that get a 500, 502 or 503. Default 0. */
  failureRate?: number;
  /** The delay of every response. Default 0. */
  latencyMs?: number;
  /** Faults of single requests. Default none. */
  faults?: readonly EsimGoFaultRule[];
}

/** Options with their defaults. */
export interface EsimGoSettings extends Required<Omit<EsimGoOptions, 'bundles' | 'rateLimit'>> {
  readonly bundles?: readonly unknown[];
  readonly rateLimit: false | Required<EsimGoRateLimit>;
}

const MOST_ROWS = 10_000_000;
const rateLimitShape = {
  requests: integer({ min: 1, max: 1_000_000, default: 10 }),
  windowMs: integer({ min: 1, max: 86_400_000, default: 1_000 }),
  cost: integer({ min: 0, max: 1_000_000, default: 1 }),
};
const rateLimitRule: OptionRule<EsimGoSettings['rateLimit']> = {
  permitted: 'false or an object',
  parse(value, field, owner) {
    if (value === false) return false;
    if (typeof value === 'object') return parseOptions(owner, rateLimitShape, value, field);
    throw new InvalidOptionError(owner, field, value, this.permitted);
  },
  defaultValue: (field, owner) => parseOptions(owner, rateLimitShape, {}, field),
};
const bundlesRule = optional(
  listOf<unknown>({ permitted: 'anything', parse: (value) => value }, 1_000_000),
);
const share = { min: 0, max: 1 };
const rowsRule = integer({ min: 0, max: MOST_ROWS, default: 5_148 });
const seedRule = integer({ min: 0, max: 4_294_967_295, default: 1 });
const failureRateRule = number({ ...share, default: 0 });
const latencyRule = integer({ min: 0, max: 3_600_000, default: 0 });
const apiKeyRule = string({ maxLength: 1_000, default: 'holdfast' });

/** One of two whole numbers. */
function either<const T extends number>(values: readonly [T, T], absent: T): OptionRule<T> {
  return {
    permitted: values.join(' or '),
    parse(value, field, owner) {
      const found = values.find((each) => each === value);
      if (found !== undefined) return found;
      throw new InvalidOptionError(owner, field, value, this.permitted);
    },
    defaultValue: () => absent,
  };
}

const shape = {
  apiKey: apiKeyRule,
  invalidKeyStatus: either([401, 403], 403),
  bundles: bundlesRule,
  rows: rowsRule,
  seed: seedRule,
  revision: integer({ min: 0, max: 100, default: 0 }),
  changedShare: number({ ...share, default: 0.01 }),
  roaming: oneOf(['absent', 'countries', 'codes', 'boolean'], 'absent'),
  envelope: oneOf(['object', 'array'], 'object'),
  firstPage: either([0, 1], 1),
  belowFirstPage: oneOf(['reject', 'first'], 'reject'),
  defaultPerPage: integer({ min: 1, max: MOST_ROWS, default: 50 }),
  maxPerPage: integer({ min: 1, max: MOST_ROWS, default: 5_000 }),
  overMaxPerPage: oneOf(['reject', 'clamp', 'accept'], 'clamp'),
  unknownOrderBy: oneOf(['reject', 'ignore'], 'ignore'),
  rateLimit: rateLimitRule,
  failureRate: failureRateRule,
  latencyMs: latencyRule,
  faults: esimGoFaultRulesRule,
};

const variables = [
  ['API_KEY', 'apiKey', apiKeyRule, false],
  ['FAILURE_RATE', 'failureRate', failureRateRule, true],
  ['LATENCY_MS', 'latencyMs', latencyRule, true],
  ['ROWS', 'rows', rowsRule, true],
  ['SEED', 'seed', seedRule, true],
] as const;

/**
 * Options override environment variables, which override the defaults.
 * @throws InvalidOptionError naming the field, from `path` on, or the variable.
 */
export function parseEsimGoSettings(
  owner: string,
  given: unknown,
  env: Readonly<Record<string, string | undefined>> = {},
  path?: string,
): EsimGoSettings {
  const fromEnvironment = variables.flatMap(([variable, option, rule, isNumber]) => {
    const text = env[variable];
    if (text === undefined || text === '') return [];
    const value = isNumber && !Number.isNaN(Number(text)) ? Number(text) : text;
    return [[option, rule.parse(value, variable, owner)] as const];
  });
  const base: object = Object.fromEntries(fromEnvironment);
  const isPlain = typeof given === 'object' && given !== null && !Array.isArray(given);
  const options = isPlain ? { ...base, ...given } : given;
  return withoutUndefined(parseOptions(owner, shape, options, path));
}
