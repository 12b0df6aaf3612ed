import { checkCall, checkCallOptions } from '../check-call.ts';
import {
  abortable,
  callback,
  type Clock,
  objectWith,
  integer,
  InvalidOptionError,
  isHoldfastError,
  parseOptions,
  systemClock,
} from '@holdfast/foundation';
import { hides } from '../attempt-outcomes.ts';
import { decide, warnOnce, yesOrNo } from '../decision.ts';
import { untilAborted } from '../until-aborted.ts';
import { FallbackThrewError } from './fallback-threw-error.ts';

/** A value kept from an earlier call. */
export interface CachedValue<T> {
  readonly value: T;
  /** When it was fetched, in milliseconds since the Unix epoch. */
  readonly timestamp: number;
}

/** Options of `createFallback`. */
export interface FallbackOptions {
  /** The greatest age of a cached value, in milliseconds. Default 86 400 000, a day. */
  maxStaleMs?: number;
  /**
   * Which errors may lead to a fallback. Default: all but an invalid option or argument. The caller's own abort
   * never does. One that throws refuses. A promise is awaited, in a stack for `timeoutMs` at most, else until the
   * signal aborts: bound it yourself where there is neither.
   */
  shouldFallBack?: (error: unknown) => boolean | Promise<boolean>;
  /** The source of time. Default: the system clock. */
  clock?: Clock;
}

/** The fallbacks of one call; a cached value is preferred to the others. */
export interface FallbackCallOptions<T, F = T> {
  /** A value that the caller has from before, and when it was current. Default: none. */
  cachedValue?: CachedValue<T> | undefined;
  /** Any value, `null` and `undefined` too: the presence of the key counts. */
  fallbackValue?: F;
  /**
   * Computes the value from the failure; called only without a usable cached value. Bounded as `shouldFallBack`, together
   * with it.
   */
  fallback?: ((error: unknown) => F | PromiseLike<F>) | undefined;
  /** The caller's signal: after its abort no fallback is served, and the call rejects with its reason. */
  signal?: AbortSignal | undefined;
}

/** A value with its source, and the failure if it is not the real result. */
export type FallbackResult<T, F = T> =
  | { readonly source: 'live'; readonly value: T }
  | Substitute<T, F>;

/** What was served in place of a value, where it is from, and the error that made it necessary. */
export type Substitute<T, F = T> =
  | { readonly source: 'stale'; readonly value: T; readonly ageMs: number; readonly error: unknown }
  | { readonly source: 'fallback'; readonly value: F; readonly error: unknown };

/** Returns the next best value when a call has failed. */
export interface Fallback {
  /**
   * Calls `fn`; resolves with a substitute if it fails.
   * @throws the error of `fn` when there is no substitute or `shouldFallBack` refuses; the signal's own reason when
   * the caller has aborted; the error that `fallback` itself threw, or FallbackThrewError if that would hide that the
   * work may have taken effect.
   */
  execute<T, F = T>(
    fn: (signal: AbortSignal | undefined) => T | PromiseLike<T>,
    substitutes?: FallbackCallOptions<T, F>,
  ): Promise<FallbackResult<T, F>>;
  /** The substitute for a call that failed with `error`; `undefined` when there is none. */
  substituteFor<T, F = T>(
    error: unknown,
    substitutes: FallbackCallOptions<T, F>,
  ): Substitute<T, F> | Promise<Substitute<T, F> | undefined> | undefined;
}

const isNotInvalidOption = (error: unknown): boolean =>
  !(isHoldfastError(error) && error.code === 'INVALID_OPTION');

const refused = yesOrNo(false);

const schema = {
  maxStaleMs: integer({ min: 0, max: Number.MAX_SAFE_INTEGER, default: 86_400_000 }),
  shouldFallBack: callback<(error: unknown) => unknown>(isNotInvalidOption),
  clock: objectWith<Clock>(['now', 'epochMs', 'schedule'], systemClock),
};

/**
 * Serves the next best value when a call has failed: a cached one that is not too old, then a default.
 * @throws InvalidOptionError
 */
export function createFallback(options?: FallbackOptions): Fallback {
  const { maxStaleMs, shouldFallBack, clock } = parseOptions('createFallback', schema, options);

  const warn = warnOnce('fallback: shouldFallBack');

  const substituteFor = <T, F>(
    failure: unknown,
    substitutes: FallbackCallOptions<T, F>,
  ): Substitute<T, F> | Promise<Substitute<T, F> | undefined> | undefined => {
    const { signal } = substitutes;
    if (signal?.aborted === true) return undefined;
    const wanted = decide(warn, refused, () => shouldFallBack(failure));
    if (typeof wanted === 'boolean') return wanted ? nextBest(failure, substitutes) : undefined;
    const settled = wanted.then((decided) =>
      decided && signal?.aborted !== true ? nextBest(failure, substitutes) : undefined,
    );
    return signal === undefined ? settled : abortable(settled, signal);
  };

  const nextBest = <T, F>(
    error: unknown,
    substitutes: FallbackCallOptions<T, F>,
  ): Substitute<T, F> | Promise<Substitute<T, F>> | undefined => {
    const { cachedValue, fallback, signal } = substitutes;
    if (cachedValue !== undefined) {
      // A timestamp in the future means that the wall clock was stepped back.
      const ageMs = Math.max(0, clock.epochMs() - cachedValue.timestamp);
      if (ageMs <= maxStaleMs) return { source: 'stale', value: cachedValue.value, ageMs, error };
    }
    if (hasFallbackValue(substitutes)) {
      return { source: 'fallback', value: substitutes.fallbackValue, error };
    }
    if (fallback === undefined) return undefined;
    const computed = fromFunction(fallback, error);
    return signal === undefined ? computed : abortable(computed, signal);
  };

  return {
    async execute(fn, substitutes = {}) {
      checkCall('fallback.execute', fn, substitutes, SUBSTITUTES);
      check(substitutes);
      substitutes.signal?.throwIfAborted();
      try {
        const { signal } = substitutes;
        const value = signal === undefined ? fn(signal) : untilAborted(fn, signal, undefined);
        return { source: 'live', value: await value };
      } catch (error) {
        substitutes.signal?.throwIfAborted();
        const substitute = await substituteFor(error, substitutes);
        if (substitute === undefined) throw error;
        return substitute;
      }
    },
    substituteFor(error, substitutes) {
      checkCallOptions('fallback.substituteFor', substitutes, [...SUBSTITUTES, 'onDiscarded']);
      check(substitutes);
      return substituteFor(error, substitutes);
    },
  };
}

async function fromFunction<F>(
  fallback: (error: unknown) => F | PromiseLike<F>,
  error: unknown,
): Promise<Substitute<never, F>> {
  try {
    return { source: 'fallback', value: await fallback(error), error };
  } catch (own) {
    throw hides(own, error) ? new FallbackThrewError(error, own) : own;
  }
}

function hasFallbackValue<T, F>(
  substitutes: FallbackCallOptions<T, F>,
): substitutes is FallbackCallOptions<T, F> & { fallbackValue: F } {
  return 'fallbackValue' in substitutes;
}

/** The names of the fallbacks of a call, and of its signal. */
export const SUBSTITUTES: readonly string[] = [
  'cachedValue',
  'fallbackValue',
  'fallback',
  'signal',
];

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
