import {
  type Clock,
  InvalidOptionError,
  type OptionRule,
  type Random,
  callback,
  integer,
  objectWith,
  parseOptions,
  systemClock,
  systemRandom,
} from '@holdfast/foundation';
import type { Quota, ResilienceStackOptions } from '@holdfast/resilience';
import type { LegislativeLayerType } from '../atlas.ts';
import { ofPolicy } from '../policy-rule.ts';

/** The addresses of the layers of one state, without their queries. */
export type StateEndpoints = Readonly<Partial<Record<LegislativeLayerType, string>>>;

/** As the global fetch, as far as the extractor needs it. */
export type PortalFetch = (
  url: string,
  init: { readonly headers: Record<string, string>; readonly signal: AbortSignal },
) => Promise<Response>;

/** Options of `StateBatchExtractor`. All times in milliseconds. */
export interface StateBatchExtractorOptions {
  /** The layers of ArcGIS services, by state: `{ WI: { congressional: 'https://…/MapServer/0' } }`. Default: none. */
  endpoints?: Readonly<Record<string, StateEndpoints>>;
  /** Features that are asked for at a time; a portal may send fewer. Default 1 000. */
  pageSize?: number;
  /** The most pages of a layer. Default 1 000. */
  maxPages?: number;
  /** The most features of a layer. Default 100 000. */
  maxFeatures?: number;
  /** The most bytes of a page. Default 64 MiB. */
  maxPageBytes?: number;
  /** Of each endpoint. Default: 3 failures in a row open it for 120 s. */
  circuitBreaker?: ResilienceStackOptions['circuitBreaker'];
  /** Of each page. Default: 3 attempts, 500 ms to 10 s apart, within 30 s. */
  retry?: ResilienceStackOptions['retry'];
  /** Of each endpoint. Default: bursts of 20, refilled with 10 a second; a page waits for its turn. */
  rateLimiter?: Quota;
  /** The time for one attempt at a page. Default 10 000. */
  timeoutMs?: number;
  /** Default: the global fetch. */
  fetch?: PortalFetch;
  /** The source of time. Default: the system clock. */
  clock?: Clock;
  /** The source of random numbers. Default: the random source of the system. */
  random?: Random;
}

/** The options with their defaults. */
export type ResolvedExtractorOptions = {
  readonly [Name in keyof StateBatchExtractorOptions]-?: NonNullable<
    StateBatchExtractorOptions[Name]
  >;
};

const HOUR_MS = 3_600_000;
const GIB = 1_073_741_824;

const endpoints: OptionRule<Readonly<Record<string, StateEndpoints>>> = {
  permitted: 'addresses by state and layer',
  parse(value, field, owner) {
    const given: Record<string, StateEndpoints> = {};
    for (const [state, layers] of Object.entries(value ?? {})) {
      for (const [layer, address] of Object.entries(layers ?? {})) {
        if (typeof address === 'string' && URL.canParse(address)) continue;
        throw new InvalidOptionError(owner, `${field}.${state}.${layer}`, address, 'a URL');
      }
      given[state] = { ...layers };
    }
    return given;
  },
  defaultValue: () => ({}),
};

const schema = {
  endpoints,
  pageSize: integer({ min: 1, max: 100_000, default: 1_000 }),
  maxPages: integer({ min: 1, max: 1_000_000, default: 1_000 }),
  maxFeatures: integer({ min: 1, max: 10_000_000, default: 100_000 }),
  maxPageBytes: integer({ min: 1, max: GIB, default: GIB / 16 }),
  circuitBreaker: ofPolicy<ResolvedExtractorOptions['circuitBreaker']>({
    failureThreshold: 3,
    openDurationMs: 120_000,
  }),
  retry: ofPolicy<ResolvedExtractorOptions['retry']>({
    maxAttempts: 3,
    initialDelayMs: 500,
    maxDelayMs: 10_000,
    timeoutMs: 30_000,
  }),
  rateLimiter: ofPolicy<Quota>({ maxTokens: 20, refillRate: 10 }),
  timeoutMs: integer({ min: 1, max: HOUR_MS, default: 10_000 }),
  fetch: callback<PortalFetch>((url, init) => fetch(url, init)),
  clock: objectWith<Clock>(['now', 'epochMs', 'schedule'], systemClock),
  random: callback<Random>(systemRandom),
};

/** @throws InvalidOptionError */
export function parseExtractorOptions(
  options: StateBatchExtractorOptions,
): ResolvedExtractorOptions {
  return parseOptions('StateBatchExtractor', schema, options);
}
