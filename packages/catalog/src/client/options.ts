import {
  type Clock,
  InvalidOptionError,
  type OptionRule,
  type OptionsSchema,
  type Random,
  callback,
  integer,
  number,
  objectWith,
  optional,
  parseOptions,
  string,
  systemClock,
  systemRandom,
} from '@holdfast/foundation';
import type { CatalogClientOptions, CatalogFetch } from './catalog-client.ts';

const OWNER = 'createCatalogClient';
const MAX_ROWS_PER_PAGE = 100_000;

const perPageRule: OptionRule<readonly number[]> = {
  permitted: `1 to 10 whole numbers from 1 to ${MAX_ROWS_PER_PAGE}, each lower than the one before`,
  parse(value, field, owner) {
    const list: readonly unknown[] = Array.isArray(value) ? value : [];
    const sizes = list.filter((size) => typeof size === 'number');
    const isSound = sizes.every(
      (size, at) =>
        Number.isSafeInteger(size) &&
        size >= 1 &&
        size <= MAX_ROWS_PER_PAGE &&
        (at === 0 || size < (sizes[at - 1] ?? 0)),
    );
    if (isSound && sizes.length === list.length && list.length >= 1 && list.length <= 10) {
      return sizes;
    }
    throw new InvalidOptionError(owner, field, value, this.permitted);
  },
  defaultValue: () => [1_000, 500, 100, 50],
};

/** A value of a header; it is in no error. */
const apiKeyRule: OptionRule<string> = {
  permitted: 'a string of 1 to 1000 visible ASCII characters',
  parse(value, field, owner) {
    if (typeof value === 'string' && /^[\x21-\x7e]{1,1000}$/.test(value)) return value;
    throw new InvalidOptionError(owner, field, typeof value, this.permitted);
  },
};

const milliseconds = (absent: number): OptionRule<number> =>
  integer({ min: 1, max: 3_600_000, default: absent });
const share = (absent: number): OptionRule<number> => number({ min: 0, max: 1, default: absent });

const schema = {
  apiKey: apiKeyRule,
  baseUrl: string({ maxLength: 2_000, default: 'https://api.esim-go.com/v2.5' }),
  fetch: optional(callback<CatalogFetch>()),
  timeoutMs: milliseconds(30_000),
  maxAttempts: integer({ min: 1, max: 20, default: 3 }),
  maxServerAttempts: integer({ min: 1, max: 20, default: 1 }),
  maxRateLimitRetries: integer({ min: 0, max: 100, default: 5 }),
  maxPauseMs: milliseconds(60_000),
  maxInFlight: integer({ min: 1, max: 100, default: 8 }),
  perPage: perPageRule,
  maxPageBytes: integer({ min: 1, max: 536_870_912, default: 33_554_432 }),
  maxPages: integer({ min: 1, max: 1_000_000, default: 20_000 }),
  maxRejectedShare: share(0.02),
  maxShrinkShare: share(0.1),
  clock: objectWith<Clock>(['now', 'epochMs', 'schedule'], systemClock),
  random: callback<Random>(systemRandom),
} satisfies OptionsSchema<CatalogClientOptions>;

/** Options with their defaults. */
export interface CatalogClientSettings extends Required<Omit<CatalogClientOptions, 'fetch'>> {
  readonly fetch: CatalogFetch | undefined;
}

/** @throws InvalidOptionError */
export function parseClientOptions(given: unknown): CatalogClientSettings {
  const settings = parseOptions(OWNER, schema, given);
  const { baseUrl } = settings;
  const url = URL.canParse(baseUrl) ? new URL(baseUrl) : undefined;
  const isHttp = url?.protocol === 'https:' || url?.protocol === 'http:';
  if (url === undefined || !isHttp || url.search !== '' || url.hash !== '' || url.username !== '') {
    const permitted = 'an http or https URL without credentials, query and fragment';
    throw new InvalidOptionError(OWNER, 'baseUrl', baseUrl, permitted);
  }
  return { ...settings, baseUrl: baseUrl.replace(/\/+$/, '') };
}
