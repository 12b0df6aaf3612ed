import {
  type Clock,
  type OptionRule,
  integer,
  InvalidOptionError,
  objectWith,
  optional,
  parseOptions,
  systemClock,
} from '@holdfast/foundation';
import { type Quota, type ResilienceStackOptions, userFacingApi } from '@holdfast/resilience';
import type { LookupService } from '../lookup/lookup-service.ts';
import { ofPolicy } from '../policy-rule.ts';

/** Options of `ShadowAtlasAPI`. All times in milliseconds. */
export interface ShadowAtlasAPIOptions {
  /** Default: one without districts. */
  lookupService?: LookupService;
  /** Of each client. Default: bursts of 100, refilled with 10 a second. */
  rateLimiter?: Quota;
  /** The most clients whose limits are kept; further ones replace the least recently seen. Default 10 000. */
  maxClients?: number;
  /** Default: 10 failures in a row open it for 30 s. */
  circuitBreaker?: ResilienceStackOptions['circuitBreaker'];
  /** Default: 2 attempts, 50 ms apart. */
  retry?: ResilienceStackOptions['retry'];
  /** Default: 100 lookups at a time, and 200 that wait. */
  bulkhead?: ResilienceStackOptions['bulkhead'];
  /** The time for each attempt. Default 5 000. */
  timeoutMs?: number;
  /** The most positions whose answers are kept for a failure. Default 10 000. */
  maxSnapshots?: number;
  /** How old an answer may be that is served for a failure. Default 86 400 000, a day. */
  maxStaleMs?: number;
  /** The source of time. Default: the system clock. */
  clock?: Clock;
}

const DAY_MS = 86_400_000;
const nothing: LookupService = { lookup: (lat, lon) => ({ lat, lon, districts: [] }) };

const schema = {
  lookupService: objectWith<LookupService>(['lookup'], nothing),
  rateLimiter: ofPolicy<Quota>({ maxTokens: 100, refillRate: 10 }),
  maxClients: integer({ min: 1, max: 10_000_000, default: 10_000 }),
  circuitBreaker: ofPolicy(userFacingApi.circuitBreaker),
  retry: ofPolicy(userFacingApi.retry),
  bulkhead: ofPolicy(userFacingApi.bulkhead),
  timeoutMs: integer({ min: 1, max: DAY_MS, default: userFacingApi.timeoutMs }),
  maxSnapshots: integer({ min: 0, max: 1_000_000, default: 10_000 }),
  maxStaleMs: integer({ min: 0, max: Number.MAX_SAFE_INTEGER, default: DAY_MS }),
  clock: objectWith<Clock>(['now', 'epochMs', 'schedule'], systemClock),
};

/** The options with their defaults. */
type ResolvedApiOptions = {
  readonly [Name in keyof ShadowAtlasAPIOptions]-?: NonNullable<ShadowAtlasAPIOptions[Name]>;
};

const listenSchema = {
  host: optional(hostRule()),
  port: integer({ min: 0, max: 65_535, default: 0 }),
};

function hostRule(): OptionRule<string> {
  const permitted = 'a host name or address';
  return {
    permitted,
    parse(value, field, owner) {
      if (typeof value === 'string' && /^[\w.:-]{1,255}$/.test(value)) return value;
      throw new InvalidOptionError(owner, field, value, permitted);
    },
  };
}

/** @throws InvalidOptionError */
export function parseApiOptions(options: ShadowAtlasAPIOptions): ResolvedApiOptions {
  return parseOptions('ShadowAtlasAPI', schema, options);
}

/** @throws InvalidOptionError */
export function parseListenOptions(options: object): { host: string; port: number } {
  const { host = '127.0.0.1', port } = parseOptions('ShadowAtlasAPI.listen', listenSchema, options);
  return { host, port };
}
