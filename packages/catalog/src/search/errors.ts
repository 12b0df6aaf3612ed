import { HoldfastError, describeValue } from '@holdfast/foundation';

/** A query has an unknown filter, a value out of its range, or a reversed range; nothing was searched. */
export class InvalidQueryError extends HoldfastError {
  readonly code = 'CATALOG_QUERY_INVALID';
  /** The filter, such as `minPrice`. */
  readonly field: string;
  readonly value: unknown;
  /** A description of the permitted values. */
  readonly permitted: string;

  constructor(field: string, value: unknown, permitted: string) {
    super(`query: ${field} must be ${permitted}, but is ${describeValue(value)}`, {
      outcome: 'not-applied',
    });
    this.field = field;
    this.value = value;
    this.permitted = permitted;
  }
}

/**
 * `invalid-batch`: no JSON array. `invalid-bundle`: a field has the wrong type. `too-large`: over the bound on bytes.
 * `out-of-memory`: the heap of the worker was full. `timeout`: it took too long. `worker-failed`: anything else.
 */
export type IndexBuildFailure =
  | 'invalid-batch'
  | 'invalid-bundle'
  | 'out-of-memory'
  | 'timeout'
  | 'too-large'
  | 'worker-failed';

/** No index was built; the one that is in use stays as it is. */
export class IndexBuildError extends HoldfastError {
  readonly code = 'CATALOG_INDEX_BUILD_FAILED';
  readonly reason: IndexBuildFailure;
  /** What was seen, without what follows from it. */
  readonly seen: string;

  constructor(reason: IndexBuildFailure, seen: string, cause?: unknown) {
    super(`index: ${seen}; no index was built`, {
      retryable: reason === 'timeout' || reason === 'worker-failed',
      outcome: 'not-applied',
      ...(cause === undefined ? {} : { cause }),
    });
    this.reason = reason;
    this.seen = seen;
  }
}

/** The buffers are of another version of the format, or not of one index. */
export class InvalidIndexError extends HoldfastError {
  readonly code = 'CATALOG_INDEX_INVALID';

  constructor(seen: string) {
    super(`index: ${seen}; build it again with this version`, { outcome: 'not-applied' });
  }
}

/** The index was replaced, and its last reader had ended. */
export class IndexClosedError extends HoldfastError {
  readonly code = 'CATALOG_INDEX_CLOSED';

  constructor() {
    super('index: it was closed, because a newer one replaced it; search the current one', {
      retryable: true,
      outcome: 'not-applied',
    });
  }
}

/** No generation has been published in this process yet. */
export class NoIndexError extends HoldfastError {
  readonly code = 'CATALOG_INDEX_MISSING';

  constructor() {
    super('index: no generation is in memory yet; sync, or load the cache or the backup first', {
      retryable: true,
      outcome: 'not-applied',
    });
  }
}

/** A generation that is not newer than the current one; the current one stays. */
export class OutdatedIndexError extends HoldfastError {
  readonly code = 'CATALOG_INDEX_OUTDATED';
  readonly generation: number;
  readonly current: number;

  constructor(generation: number, current: number) {
    super(
      `index: generation ${generation} is not newer than ${current}, which is in use; it was not replaced`,
      { outcome: 'not-applied' },
    );
    this.generation = generation;
    this.current = current;
  }
}
