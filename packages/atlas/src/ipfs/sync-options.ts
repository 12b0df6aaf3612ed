import {
  type Clock,
  type OptionRule,
  InvalidOptionError,
  callback,
  integer,
  objectWith,
  optional,
  parseOptions,
  string,
  systemClock,
} from '@holdfast/foundation';
import type { GatewayFetch } from '@holdfast/network';
import type { ResilienceStackOptions } from '@holdfast/resilience';
import { ofPolicy } from '../policy-rule.ts';

/** Options of `IPFSSyncService`. All times in milliseconds, all sizes in bytes. */
export interface IPFSSyncOptions {
  /** The gateways of `syncSnapshot`, the most preferred first. Default `https://ipfs.io`. */
  gateways?: readonly string[];
  /** Where blocks are kept, so that an interrupted sync goes on. Default: only in memory, for one sync. */
  directory?: string;
  /** The largest snapshot. Default 256 MiB. */
  maxBytes?: number;
  /** The largest block. Default 4 MiB. */
  maxBlockBytes?: number;
  /** The most blocks of a snapshot. Default 10 000. */
  maxBlocks?: number;
  /** Blocks of one snapshot that are asked for at a time. Default 4. */
  blockConcurrency?: number;
  /** Of each gateway. Default: 5 failures in a row open it for 60 s. */
  circuitBreaker?: ResilienceStackOptions['circuitBreaker'];
  /** Of a sync. Default: 3 attempts, 1 s to 30 s apart; an attempt asks every gateway. */
  retry?: ResilienceStackOptions['retry'];
  /** Default: 3 syncs at a time, and 5 that wait. */
  bulkhead?: ResilienceStackOptions['bulkhead'];
  /** The time for a block, over all gateways. Default 30 000. */
  blockTimeoutMs?: number;
  /** The time for one attempt at a snapshot. Default 300 000. */
  timeoutMs?: number;
  /** Such as a `ResilientFetch`. Default: one of its own, which asks no private addresses. */
  fetch?: GatewayFetch;
  /** The source of time. Default: the system clock. */
  clock?: Clock;
}

type Absent = 'directory' | 'fetch';
/** The options with their defaults. */
export type ResolvedSyncOptions = {
  readonly [Name in Exclude<keyof IPFSSyncOptions, Absent>]-?: NonNullable<IPFSSyncOptions[Name]>;
} & {
  readonly [Name in Absent]: IPFSSyncOptions[Name] | undefined;
};

const DAY_MS = 86_400_000;
const GIB = 1_073_741_824;
const MAX_PATH = 4_096;

const gateways: OptionRule<readonly string[]> = {
  permitted: '1 to 64 addresses of gateways',
  parse(value, field, owner) {
    if (Array.isArray(value) && value.length > 0 && value.every((url) => typeof url === 'string')) {
      return [...value];
    }
    throw new InvalidOptionError(owner, field, value, this.permitted);
  },
  defaultValue: () => ['https://ipfs.io'],
};

const schema = {
  gateways,
  directory: optional(string({ maxLength: MAX_PATH })),
  maxBytes: integer({ min: 1, max: 4 * GIB, default: GIB / 4 }),
  maxBlockBytes: integer({ min: 1, max: GIB, default: 4_194_304 }),
  maxBlocks: integer({ min: 1, max: 10_000_000, default: 10_000 }),
  blockConcurrency: integer({ min: 1, max: 64, default: 4 }),
  circuitBreaker: ofPolicy<ResolvedSyncOptions['circuitBreaker']>({
    failureThreshold: 5,
    openDurationMs: 60_000,
  }),
  retry: ofPolicy<ResolvedSyncOptions['retry']>({
    maxAttempts: 3,
    initialDelayMs: 1_000,
    maxDelayMs: 30_000,
    backoffMultiplier: 2,
    jitterFactor: 0.1,
  }),
  bulkhead: ofPolicy<ResolvedSyncOptions['bulkhead']>({ maxConcurrent: 3, maxQueueSize: 5 }),
  blockTimeoutMs: integer({ min: 1, max: DAY_MS, default: 30_000 }),
  timeoutMs: integer({ min: 1, max: DAY_MS, default: 300_000 }),
  fetch: optional(callback<GatewayFetch>()),
  clock: objectWith<Clock>(['now', 'epochMs', 'schedule'], systemClock),
};

/** @throws InvalidOptionError */
export function parseSyncOptions(given: string | IPFSSyncOptions | undefined): ResolvedSyncOptions {
  const options = typeof given === 'string' ? { gateways: [given] } : given;
  return parseOptions('IPFSSyncService', schema, options);
}
