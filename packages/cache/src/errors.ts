import { HoldfastError, describeValue } from '@holdfast/foundation';

/** A value, or a part of it, would not come back as it is; nothing was stored. */
export class CacheValueError extends HoldfastError {
  readonly code = 'CACHE_VALUE_NOT_KEPT';
  /** Where the part is in the value, such as `value.items[3].onClick`. */
  readonly path: string;

  constructor(path: string, part: unknown, reason: string, cause?: unknown) {
    super(
      `set: ${path} is ${describePart(part)}, ${reason}; store plain data, or leave this part out`,
      cause === undefined ? { outcome: 'not-applied' } : { outcome: 'not-applied', cause },
    );
    this.path = path;
  }
}

function describePart(part: unknown): string {
  return typeof part === 'symbol' ? 'a symbol' : describeValue(part);
}

/** The source did not answer within `loadTimeoutMs`. */
export class CacheLoadTimeoutError extends HoldfastError {
  readonly code = 'CACHE_LOAD_TIMEOUT';
  readonly key: string;

  constructor(key: string, timeoutMs: number) {
    super(
      `getOrLoad: the source has not answered for the key ${describeValue(key)} in ${timeoutMs} ms`,
      {
        retryable: true,
        outcome: 'unknown',
      },
    );
    this.key = key;
  }
}

/** The cache is closed. */
export class CacheClosedError extends HoldfastError {
  readonly code = 'CACHE_CLOSED';

  constructor() {
    super('the cache is closed; make a new one', { outcome: 'not-applied' });
  }
}

/** A data set is over `maxBytes`; the generation before it stays current. */
export class GenerationTooLargeError extends HoldfastError {
  readonly code = 'CACHE_GENERATION_TOO_LARGE';
  readonly maxBytes: number;

  constructor(bytes: number, maxBytes: number) {
    super(`a generation takes ${bytes} bytes of memory, over maxBytes (${maxBytes})`, {
      outcome: 'not-applied',
    });
    this.maxBytes = maxBytes;
  }
}

/** The generation can no longer be changed or published: it is published, discarded, or a later one is current. */
export class GenerationEndedError extends HoldfastError {
  readonly code = 'CACHE_GENERATION_ENDED';
  readonly generation: number;

  constructor(generation: number, reason: string) {
    super(`generation ${generation} ${reason}; begin a new one`, { outcome: 'not-applied' });
    this.generation = generation;
  }
}
