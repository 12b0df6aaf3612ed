import { HoldfastError } from '@holdfast/foundation';

/** The outcome of the request to one region. */
export interface RegionOutcome {
  readonly region: string;
  /** `not-asked`: the call ended before; `pending`: the region had not answered when the call ended. */
  readonly status: 'answered' | 'failed' | 'pending' | 'not-asked';
  /** Why it failed. */
  readonly error?: unknown;
}

function listed(outcomes: readonly RegionOutcome[]): string {
  return outcomes.map(({ region, status }) => `${region}: ${status}`).join(', ');
}

/** The first region's error, as the cause. */
function causeOf(outcomes: readonly RegionOutcome[]): unknown {
  return outcomes.find(({ error }) => error !== undefined)?.error;
}

/** Too few regions answered in time; no write took effect. */
export class QuorumUnavailableError extends HoldfastError {
  readonly code = 'DATABASE_QUORUM_UNAVAILABLE';
  readonly key: string;
  readonly regions: readonly RegionOutcome[];

  /** @param operation `read` or `write`. */
  constructor(operation: string, key: string, needed: number, regions: readonly RegionOutcome[]) {
    super(
      `cannot ${operation} ${JSON.stringify(key)}: ${needed} regions are needed (${listed(regions)}); ` +
        'nothing was changed, call again',
      { cause: causeOf(regions), retryable: true, outcome: 'not-applied' },
    );
    this.key = key;
    this.regions = regions;
  }
}

/**
 * Too few regions have confirmed the write, and at least one may have stored it: later reads may or may not return
 * it, and once one has, all do.
 */
export class WriteUnknownError extends HoldfastError {
  readonly code = 'DATABASE_WRITE_UNKNOWN';
  readonly key: string;
  readonly regions: readonly RegionOutcome[];

  constructor(key: string, needed: number, regions: readonly RegionOutcome[]) {
    super(
      `the write of ${JSON.stringify(key)} was confirmed by fewer than ${needed} regions ` +
        `(${listed(regions)}); it may or may not have taken effect: read it, or write it again`,
      { cause: causeOf(regions), retryable: true, outcome: 'unknown' },
    );
    this.key = key;
    this.regions = regions;
  }
}

/** No region could be read. */
export class DataUnavailableError extends HoldfastError {
  readonly code = 'DATABASE_DATA_UNAVAILABLE';
  readonly key: string;
  readonly regions: readonly RegionOutcome[];

  constructor(key: string, regions: readonly RegionOutcome[]) {
    super(`no region can read ${JSON.stringify(key)} (${listed(regions)}); call again`, {
      cause: causeOf(regions),
      retryable: true,
      outcome: 'not-applied',
    });
    this.key = key;
    this.regions = regions;
  }
}

/** A region has a row that no store has written. */
export class MalformedRegisterError extends HoldfastError {
  readonly code = 'DATABASE_MALFORMED_REGISTER';

  constructor(region: string, key: string, seen: string, cause?: unknown) {
    super(`${region} holds ${seen} as the register ${JSON.stringify(key)}; it is not changed`, {
      cause,
      outcome: 'not-applied',
    });
  }
}

/** The store was closed, also while the call was under way. */
export class ReplicatedStoreClosedError extends HoldfastError {
  readonly code = 'DATABASE_REPLICATED_STORE_CLOSED';

  constructor(outcome: 'not-applied' | 'unknown') {
    super(`the replicated store is closed; the call's outcome is ${outcome}`, { outcome });
  }
}
