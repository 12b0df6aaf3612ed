import {
  InvalidOptionError,
  type OptionRule,
  type OptionsSchema,
  boolean,
  integer,
  number,
  oneOf,
  optional,
  parseOptions,
  string,
} from '@holdfast/foundation';
import type { CatalogQuery, Facet, SortKey } from '../../catalog.ts';
import { InvalidQueryError } from '../errors.ts';
import { wordsOf } from '../words.ts';

const MAX_LIMIT = 1_000;
const MAX_TEXT = 200;
const MAX_WORDS = 12;
/** Over any price or amount, and exact in whole numbers. */
const MAX_NUMBER = Number.MAX_SAFE_INTEGER;
const SORT_KEYS: readonly SortKey[] = ['price', 'dataAmount', 'duration', 'name'];
const FACETS: readonly Facet[] = ['country', 'region', 'group', 'unlimited'];

/** A query with its defaults; the filters that were left out are `undefined`. */
export interface ParsedQuery {
  readonly country: string | undefined;
  readonly region: string | undefined;
  readonly group: string | undefined;
  readonly minDataMb: number | undefined;
  readonly maxDataMb: number | undefined;
  readonly unlimited: boolean | undefined;
  readonly minDurationDays: number | undefined;
  readonly maxDurationDays: number | undefined;
  readonly minPrice: number | undefined;
  readonly maxPrice: number | undefined;
  readonly roaming: string | undefined;
  readonly text: string | undefined;
  readonly sort: SortKey;
  readonly direction: 'ascending' | 'descending';
  readonly offset: number;
  readonly limit: number;
  readonly facets: readonly Facet[];
}

const code = string({ maxLength: 16 });
const spelled = string({ maxLength: 200 });
const amount = number({ min: 0, max: MAX_NUMBER });

const facets: OptionRule<readonly Facet[]> = {
  permitted: `an array of ${FACETS.join(', ')}`,
  parse(value, field, owner) {
    if (!Array.isArray(value) || value.length > FACETS.length) {
      throw new InvalidOptionError(owner, field, value, facets.permitted);
    }
    const known = value.map((facet: unknown) => oneOf(FACETS).parse(facet, field, owner));
    return [...new Set(known)];
  },
  defaultValue: () => [],
};

const SCHEMA = {
  country: optional(code),
  region: optional(spelled),
  group: optional(spelled),
  minDataMb: optional(amount),
  maxDataMb: optional(amount),
  unlimited: optional(boolean(false)),
  minDurationDays: optional(amount),
  maxDurationDays: optional(amount),
  minPrice: optional(amount),
  maxPrice: optional(amount),
  roaming: optional(code),
  text: optional(string({ minLength: 0, maxLength: MAX_TEXT })),
  sort: oneOf(SORT_KEYS, 'price'),
  direction: oneOf(['ascending', 'descending'], 'ascending'),
  offset: integer({ min: 0, max: MAX_NUMBER, default: 0 }),
  limit: integer({ min: 0, max: MAX_LIMIT, default: 20 }),
  facets,
} satisfies OptionsSchema<CatalogQuery>;

const RANGES = [
  ['minDataMb', 'maxDataMb'],
  ['minDurationDays', 'maxDurationDays'],
  ['minPrice', 'maxPrice'],
] as const;

/**
 * Validates a query from anywhere and adds its defaults.
 * @throws InvalidQueryError naming the filter, the value and what is permitted.
 */
export function parseQuery(query: unknown): ParsedQuery {
  let parsed: ParsedQuery;
  try {
    parsed = parseOptions('search', SCHEMA, query ?? {});
  } catch (error) {
    if (!(error instanceof InvalidOptionError)) throw error;
    throw new InvalidQueryError(error.field, error.value, error.permitted);
  }
  for (const [min, max] of RANGES) {
    const low = parsed[min];
    const high = parsed[max];
    if (low === undefined || high === undefined || low <= high) continue;
    throw new InvalidQueryError(min, low, `at most ${max}, which is ${high}`);
  }
  if (parsed.text !== undefined && wordsOf(parsed.text).length > MAX_WORDS) {
    throw new InvalidQueryError('text', parsed.text, `of at most ${MAX_WORDS} words`);
  }
  return parsed;
}

const NUMBERS: ReadonlySet<string> = new Set([...RANGES.flat(), 'offset', 'limit']);
/** As people write numbers in an address: no sign, no exponent, no spaces. */
const DECIMAL = /^\d{1,16}(?:\.\d{1,16})?$/u;

/**
 * The same for the parameters of an address, such as `country=DE&minDataMb=1000&facets=group,region`. Each is given
 * once; facets are separated by commas.
 * @throws InvalidQueryError naming the filter, the value and what is permitted.
 */
export function parseQueryString(parameters: URLSearchParams): ParsedQuery {
  const query = new Map<string, unknown>();
  for (const [field, text] of parameters) {
    if (query.has(field)) throw new InvalidQueryError(field, text, 'given once');
    query.set(field, valueOf(field, text));
  }
  // Unlike an assignment, this makes a field of `__proto__` too, which is then unknown.
  return parseQuery(Object.fromEntries(query));
}

function valueOf(field: string, text: string): unknown {
  if (field === 'facets') return text === '' ? [] : text.split(',');
  if (NUMBERS.has(field)) return DECIMAL.test(text) ? Number(text) : text;
  if (field !== 'unlimited') return text;
  return text === 'true' ? true : text === 'false' ? false : text;
}
