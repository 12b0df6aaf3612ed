import { HoldfastError } from '@holdfast/foundation';

/** The outcome of the request to one region. */
export interface RegionOutcome {
  readonly region: string;
  /** `not-asked`: the call ended before; `pending`: the region had not answered when the call ended. */
  readonly status: 'answered' | 'failed' | 'pending' | 'not-asked';
  /** Why it failed. */
  readonly error?: unknown;
}

/** A call that too few regions have answered. */
abstract class RegionsError extends HoldfastError {
  readonly key: string;
  readonly regions: readonly RegionOutcome[];

  /** @param failure begins the message, which lists the regions then and ends with `next`. */
  constructor(
    failure: string,
    next: string,
    outcome: 'not-applied' | 'unknown',
    key: string,
    regions: readonly RegionOutcome[],
  ) {
    const listed = regions.map(({ region, status }) => `${region}: ${status}`).join(', ');
    const cause = regions.find(({ error }) => error !== undefined)?.error;
    super(`${failure} (${listed}); ${next}`, { cause, retryable: true, outcome });
    this.key = key;
    this.regions = regions;
  }
}

/** Too few regions answered in time; no write took effect. */
export class QuorumUnavailableError extends RegionsError {
  readonly code = 'DATABASE_QUORUM_UNAVAILABLE';

  constructor(
    operation: 'read' | 'write',
    key: string,
    needed: number,
    regions: readonly RegionOutcome[],
  ) {
    const failure = `cannot ${operation} ${JSON.stringify(key)}: ${needed} regions are needed`;
    super(failure, 'nothing was changed, call again', 'not-applied', key, regions);
  }
}

/**
 * Too few regions have confirmed the write, and at least one may have stored it: later reads may or may not return
 * it, and once one has, all do.
 */
export class WriteUnknownError extends RegionsError {
  readonly code = 'DATABASE_WRITE_UNKNOWN';

  constructor(key: string, needed: number, regions: readonly RegionOutcome[]) {
    const failure = `the write of ${JSON.stringify(key)} was confirmed by fewer than ${needed} regions`;
    const next = 'it may or may not have taken effect: read it, or write it again';
    super(failure, next, 'unknown', key, regions);
  }
}

/** No region could be read. */
export class DataUnavailableError extends RegionsError {
  readonly code = 'DATABASE_DATA_UNAVAILABLE';

  constructor(key: string, regions: readonly RegionOutcome[]) {
    const failure = `no region can read ${JSON.stringify(key)}`;
    super(failure, 'call again', 'not-applied', key, regions);
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
