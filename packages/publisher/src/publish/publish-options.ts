import {
  type Clock,
  type Random,
  integer,
  objectWith,
  callback,
  parseOptions,
  systemClock,
  systemRandom,
} from '@holdfast/foundation';
import type { SiteStore } from './site-store.ts';

/** Options of `createPublisher` and `createWebsitePublisher`. All times in milliseconds. */
export interface PublisherOptions {
  /** Where the site is published. */
  readonly store: SiteStore;
  /** Files that are sent at the same time, 1 to 64. Default 8. */
  readonly concurrency?: number;
  /** Attempts for each file, 1 to 20. Default 3. */
  readonly maxUploadAttempts?: number;
  /** The delay before the second attempt, in milliseconds; it doubles. Default 200. */
  readonly retryDelayMs?: number;
  /** Attempts to write the pointer while others write it, 1 to 100. Default 10. */
  readonly maxPointerAttempts?: number;
  /** Earlier releases that the pointer names, for rollbacks and late visitors, 1 to 100. Default 10. */
  readonly keptReleases?: number;
  /** How long a bare website keeps files that no page needs any more, in milliseconds. Default 3,600,000. */
  readonly removalGraceMs?: number;
  /** The source of time. Default: the system clock. */
  readonly clock?: Clock;
  /** The source of random numbers. Default: the random source of the system. */
  readonly random?: Random;
}

/** The options with their defaults. */
type ResolvedPublisherOptions = Required<PublisherOptions>;

/** What each step of a publish needs. */
export interface PublishDeps {
  readonly options: ResolvedPublisherOptions;
  readonly signal: AbortSignal;
}

const schema = {
  store: objectWith<SiteStore>(['get', 'sizeOf', 'put', 'list', 'remove']),
  concurrency: integer({ min: 1, max: 64, default: 8 }),
  maxUploadAttempts: integer({ min: 1, max: 20, default: 3 }),
  retryDelayMs: integer({ min: 0, max: 600_000, default: 200 }),
  maxPointerAttempts: integer({ min: 1, max: 100, default: 10 }),
  keptReleases: integer({ min: 1, max: 100, default: 10 }),
  removalGraceMs: integer({ min: 0, max: 2_592_000_000, default: 3_600_000 }),
  clock: objectWith<Clock>(['now', 'epochMs', 'schedule'], systemClock),
  random: callback<Random>(systemRandom),
};

/** @throws InvalidOptionError */
export function parsePublisherOptions(
  owner: string,
  given: PublisherOptions,
): ResolvedPublisherOptions {
  return parseOptions(owner, schema, given);
}
