import { HoldfastError, describeThrown } from '@holdfast/foundation';
import type { TierAttempt } from './served-catalog.ts';

/** No tier has what was asked for: which were tried, why each failed, and how long that took. */
export class CatalogUnavailableError extends HoldfastError {
  readonly code = 'CATALOG_UNAVAILABLE';
  /** In the order in which they were tried. */
  readonly attempts: readonly TierAttempt[];

  /** @param missing such as `no generation`. */
  constructor(missing: string, attempts: readonly TierAttempt[], retryAfterMs?: number) {
    const tried = attempts.map(
      ({ tier, cause, ms }) => `${tier} after ${Math.round(ms)} ms: ${describeThrown(cause)}`,
    );
    super(
      `catalog: ${missing} in any tier (${tried.join(' | ') || 'none was tried'}); ` +
        'it is tried again behind, retry later',
      {
        retryable: true,
        outcome: 'not-applied',
        cause: attempts.at(-1)?.cause,
        ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
      },
    );
    this.attempts = attempts;
  }
}

/** A tier, or all of them together, took longer than permitted; what it does may still come to an end. */
export class CatalogTierTimeoutError extends HoldfastError {
  readonly code = 'CATALOG_TIER_TIMEOUT';
  readonly tier: string;
  readonly limitMs: number;

  constructor(tier: string, limitMs: number) {
    super(`catalog: ${tier} had no answer within ${limitMs} ms; the next one is asked`, {
      retryable: true,
    });
    this.tier = tier;
    this.limitMs = limitMs;
  }
}

/** The catalog was closed. */
export class CatalogClosedError extends HoldfastError {
  readonly code = 'CATALOG_CLOSED';

  constructor() {
    super('catalog: it is closed; create another one', { outcome: 'not-applied' });
  }
}
