import { HoldfastError } from '@holdfast/foundation';

/** What one region did with what it was asked. */
export interface RegionOutcome {
  readonly region: string;
  /** `not-asked`: the call was over before; `pending`: it had not answered when the call was given up. */
  readonly answered: 'yes' | 'failed' | 'pending' | 'not-asked';
  /** Why it failed. */
  readonly error?: unknown;
}

function listed(outcomes: readonly RegionOutcome[]): string {
  return outcomes.map(({ region, answered }) => `${region}: ${answered}`).join(', ');
}

/** The failures underneath, as one cause. */
function causeOf(outcomes: readonly RegionOutcome[]): unknown {
  return outcomes.find(({ error }) => error !== undefined)?.error;
}

/** Too few regions answered in time; no write took effect. */
export class QuorumUnavailableError extends HoldfastError {
  readonly code = 'DATABASE_QUORUM_UNAVAILABLE';
  readonly key: string;
  readonly regions: readonly RegionOutcome[];

  /** @param asked what was to be done, such as `read` or `write`. */
  constructor(asked: string, key: string, wanted: number, regions: readonly RegionOutcome[]) {
    super(
      `cannot ${asked} ${JSON.stringify(key)}: ${wanted} regions are needed (${listed(regions)}); ` +
        'nothing was changed, call again',
      { cause: causeOf(regions), retryable: true, outcome: 'not-applied' },
    );
    this.key = key;
    this.regions = regions;
  }
}

/**
 * Too few regions have confirmed the write, and at least one may have it: later reads show it or do not,
 * and once one has shown it, all do.
 */
export class WriteUnknownError extends HoldfastError {
  readonly code = 'DATABASE_WRITE_UNKNOWN';
  readonly key: string;
  readonly regions: readonly RegionOutcome[];

  constructor(key: string, wanted: number, regions: readonly RegionOutcome[]) {
    super(
      `the write of ${JSON.stringify(key)} was confirmed by fewer than ${wanted} regions ` +
        `(${listed(regions)}); it may stand or not: read it, or write it again`,
      { cause: causeOf(regions), retryable: true, outcome: 'unknown' },
    );
    this.key = key;
    this.regions = regions;
  }
}

/** No region at all could be read. */
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

/** A region holds something that no store has written. */
export class MalformedRegisterError extends HoldfastError {
  readonly code = 'DATABASE_MALFORMED_REGISTER';

  constructor(region: string, key: string, seen: string, cause?: unknown) {
    super(`${region} holds ${seen} as the register ${JSON.stringify(key)}; it is left alone`, {
      cause,
      outcome: 'not-applied',
    });
  }
}

/** The store was closed; what was under way ends with this. */
export class ReplicatedStoreClosedError extends HoldfastError {
  readonly code = 'DATABASE_REPLICATED_STORE_CLOSED';

  constructor(outcome: 'not-applied' | 'unknown') {
    super(`the replicated store is closed; the call's outcome is ${outcome}`, { outcome });
  }
}
