import {
  callback,
  type Clock,
  objectWith,
  integer,
  InvalidOptionError,
  isHoldfastError,
  parseOptions,
  systemClock,
} from '@holdfast/foundation';

/** A value kept from an earlier call. */
export interface CachedValue<T> {
  readonly value: T;
  /** When it was fetched, in milliseconds since the Unix epoch. */
  readonly timestamp: number;
}

export interface FallbackOptions {
  /** The greatest age of a cached value, in milliseconds. Default 86 400 000, a day. */
  maxStaleMs?: number;
  /**
   * Which errors may lead to a fallback. Default: all but an invalid option or argument. The caller's own abort
   * never does.
   */
  shouldFallBack?: (error: unknown) => boolean;
  clock?: Clock;
}

/** The fallbacks of one call; a cached value is preferred to the others. */
export interface FallbackCallOptions<T, F = T> {
  cachedValue?: CachedValue<T> | undefined;
  /** Any value, `null` and `undefined` too: the presence of the key counts. */
  fallbackValue?: F;
  /** Computes the value from the failure; called only without a usable cached value. */
  fallback?: ((error: unknown) => F | PromiseLike<F>) | undefined;
  signal?: AbortSignal | undefined;
}

/** A value with its source, and the failure if it is not the real result. */
export type FallbackResult<T, F = T> =
  | { readonly source: 'live'; readonly value: T }
  | Substitute<T, F>;

export type Substitute<T, F = T> =
  | { readonly source: 'stale'; readonly value: T; readonly ageMs: number; readonly error: unknown }
  | { readonly source: 'fallback'; readonly value: F; readonly error: unknown };

/** Returns the next best value when a call has failed. */
export interface Fallback {
  /**
   * Calls `fn`; resolves with a substitute if it fails.
   * @throws the error of `fn` when there is no substitute or `shouldFallBack` refuses; the signal's own reason when
   * the caller has aborted; the error that `fallback` itself threw.
   */
  execute<T, F = T>(
    fn: (signal: AbortSignal | undefined) => T | PromiseLike<T>,
    substitutes?: FallbackCallOptions<T, F>,
  ): Promise<FallbackResult<T, F>>;
  /** The substitute for a call that failed with `error`; `undefined` when there is none. */
  substituteFor<T, F = T>(
    error: unknown,
    substitutes: FallbackCallOptions<T, F>,
  ): Substitute<T, F> | Promise<Substitute<T, F>> | undefined;
}

const isNotInvalidOption = (error: unknown): boolean =>
  !(isHoldfastError(error) && error.code === 'INVALID_OPTION');

const schema = {
  maxStaleMs: integer({ min: 0, max: Number.MAX_SAFE_INTEGER, default: 86_400_000 }),
  shouldFallBack: callback<(error: unknown) => boolean>(isNotInvalidOption),
  clock: objectWith<Clock>(['now', 'epochMs', 'schedule'], systemClock),
};

/** @throws InvalidOptionError */
export function createFallback(options?: FallbackOptions): Fallback {
  const { maxStaleMs, shouldFallBack, clock } = parseOptions('createFallback', schema, options);

  const substituteFor = <T, F>(
    error: unknown,
    substitutes: FallbackCallOptions<T, F>,
  ): Substitute<T, F> | Promise<Substitute<T, F>> | undefined => {
    const { cachedValue, fallback, signal } = substitutes;
    if (signal?.aborted === true || !shouldFallBack(error)) return undefined;
    if (cachedValue !== undefined) {
      // A timestamp in the future means that the wall clock was stepped back.
      const ageMs = Math.max(0, clock.epochMs() - cachedValue.timestamp);
      if (ageMs <= maxStaleMs) return { source: 'stale', value: cachedValue.value, ageMs, error };
    }
    if (hasFallbackValue(substitutes)) {
      return { source: 'fallback', value: substitutes.fallbackValue, error };
    }
    return fallback === undefined ? undefined : fromFunction(fallback, error);
  };

  return {
    async execute(fn, substitutes = {}) {
      check(substitutes);
      substitutes.signal?.throwIfAborted();
      try {
        return { source: 'live', value: await fn(substitutes.signal) };
      } catch (error) {
        substitutes.signal?.throwIfAborted();
        const substitute = substituteFor(error, substitutes);
        if (substitute === undefined) throw error;
        return substitute;
      }
    },
    substituteFor(error, substitutes) {
      check(substitutes);
      return substituteFor(error, substitutes);
    },
  };
}

async function fromFunction<F>(
  fallback: (error: unknown) => F | PromiseLike<F>,
  error: unknown,
): Promise<Substitute<never, F>> {
  return { source: 'fallback', value: await fallback(error), error };
}

function hasFallbackValue<T, F>(
  substitutes: FallbackCallOptions<T, F>,
): substitutes is FallbackCallOptions<T, F> & { fallbackValue: F } {
  return 'fallbackValue' in substitutes;
}

function check(substitutes: FallbackCallOptions<unknown, unknown>): void {
  const owner = 'fallback';
  const timestamp = substitutes.cachedValue?.timestamp;
  if (substitutes.cachedValue !== undefined && !Number.isFinite(timestamp)) {
    const permitted = 'milliseconds since the Unix epoch';
    throw new InvalidOptionError(owner, 'cachedValue.timestamp', timestamp, permitted);
  }
  if (substitutes.fallback !== undefined && typeof substitutes.fallback !== 'function') {
    throw new InvalidOptionError(owner, 'fallback', substitutes.fallback, 'a function');
  }
  if (substitutes.fallback !== undefined && 'fallbackValue' in substitutes) {
    const permitted = 'left out when fallbackValue is given';
    throw new InvalidOptionError(owner, 'fallback', substitutes.fallback, permitted);
  }
}
