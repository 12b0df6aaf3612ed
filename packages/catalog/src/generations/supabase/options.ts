import {
  type Clock,
  InvalidOptionError,
  type OptionRule,
  type Random,
  callback,
  integer,
  objectWith,
  parseOptions,
  string,
  systemClock,
  systemRandom,
} from '@holdfast/foundation';
import { type TablesOptions, tablesSchema } from '../tables.ts';

/** What is asked: `fetch`, or a function in its form. */
export type SupabaseFetch = (url: string, init: RequestInit) => Promise<Response>;

/** Options of {@link createSupabaseGenerations}. All times in milliseconds. */
export interface SupabaseGenerationsOptions extends TablesOptions {
  /** Of the project, such as `https://name.supabase.co`: PostgREST is below `/rest/v1`. */
  readonly url: string;
  /** The key of the service role, for this server alone: it passes over the rights of rows. */
  readonly key: string;
  /** Default: that of Node. */
  readonly fetch?: SupabaseFetch;
  /** The name in errors and reports. Default `supabase`. */
  readonly name?: string;
  /** How long one call may take, but a publication. Default 10 000. */
  readonly timeoutMs?: number;
  /** How long a publication may take. Default 60 000. */
  readonly publishTimeoutMs?: number;
  /** As that of {@link createPostgresGenerations}. Default 600 000. */
  readonly graceMs?: number;
  /** The rows of one request, at most as many as the project lets through (`max_rows`). Default 500. */
  readonly rowsPerCall?: number;
  /** The source of time. Default: the system clock. */
  readonly clock?: Clock;
  /** The source of random numbers. Default: the random source of the system. */
  readonly random?: Random;
}

const OWNER = 'createSupabaseGenerations';
const DAY_MS = 86_400_000;

const urlRule: OptionRule<string> = {
  permitted: 'an http or https URL without credentials, query and fragment',
  parse(value, field, owner) {
    const url = typeof value === 'string' && URL.canParse(value) ? new URL(value) : undefined;
    const isHttp = url?.protocol === 'https:' || url?.protocol === 'http:';
    const isBare = url?.search === '' && url.hash === '' && url.username === '';
    if (url !== undefined && isHttp && isBare) return url.href.replace(/\/+$/, '');
    throw new InvalidOptionError(owner, field, value, this.permitted);
  },
};

/** A value of a header; it is in no error. */
const keyRule: OptionRule<string> = {
  permitted: 'a string of 1 to 4000 visible ASCII characters',
  parse(value, field, owner) {
    if (typeof value === 'string' && /^[\x21-\x7e]{1,4000}$/.test(value)) return value;
    throw new InvalidOptionError(owner, field, typeof value, this.permitted);
  },
};

const schema = {
  ...tablesSchema,
  url: urlRule,
  key: keyRule,
  fetch: callback<SupabaseFetch>((url, init) => fetch(url, init)),
  name: string({ maxLength: 60, default: 'supabase' }),
  timeoutMs: integer({ min: 1, max: 3_600_000, default: 10_000 }),
  publishTimeoutMs: integer({ min: 1, max: 3_600_000, default: 60_000 }),
  graceMs: integer({ min: 0, max: 30 * DAY_MS, default: 600_000 }),
  rowsPerCall: integer({ min: 1, max: 10_000, default: 500 }),
  clock: objectWith<Clock>(['now', 'epochMs', 'schedule'], systemClock),
  random: callback<Random>(systemRandom),
};

export interface SupabaseStoreSettings extends Required<SupabaseGenerationsOptions> {
  /** @throws CatalogStoreError when the store was closed */
  readonly assertOpen: () => void;
}

/** @throws InvalidOptionError */
export function parseSupabaseOptions(
  given: SupabaseGenerationsOptions,
): Required<SupabaseGenerationsOptions> {
  return parseOptions(OWNER, schema, given);
}
