import { expect, test } from '@jest/globals';
import { CacheValueError, type MemoryCache, createMemoryCache } from '@holdfast/cache';
import { type FakeClock, createFakeClock } from '@holdfast/foundation/testing';
import {
  type Arbitrary,
  anything,
  array,
  assert,
  asyncProperty,
  constant,
  constantFrom,
  integer,
  oneof,
  record,
} from 'fast-check';

const SEED = 20_261_130;
const MAX_BYTES = 65_536;
const clears: readonly Step[] = [{ kind: 'clear' }];

type Step =
  | { readonly kind: 'set'; readonly key: string; readonly value: unknown; readonly ttlMs: number }
  | { readonly kind: 'get' | 'delete'; readonly key: string }
  | { readonly kind: 'advance'; readonly byMs: number }
  | { readonly kind: 'clear' };

const key = oneof(
  integer({ min: 0, max: 40 }).map((at) => `key ${at}`),
  constantFrom('__proto__', 'constructor', 'a'),
);
const value = oneof(
  integer({ min: 0, max: 6_000 }).map((length) => 'v'.repeat(length)),
  anything({ withDate: true, withMap: true, withSet: true, withBigInt: true }),
);
const setStep = record({
  kind: constant('set' as const),
  key,
  value,
  ttlMs: integer({ min: 1, max: 2_000 }),
});
const keyStep = record({ kind: constantFrom('get' as const, 'delete' as const), key });
const advanceStep = record({
  kind: constant('advance' as const),
  byMs: integer({ min: 0, max: 900 }),
});
const step: Arbitrary<Step> = oneof(
  { weight: 30, arbitrary: setStep },
  { weight: 30, arbitrary: keyStep },
  { weight: 5, arbitrary: advanceStep },
  { weight: 1, arbitrary: constantFrom(...clears) },
);

/**
 * A Map of what was stored last and until when. A cache may have less than it, for want of space, and nothing else.
 */
class Model {
  readonly #clock: FakeClock = createFakeClock();
  readonly #stored = new Map<string, { value: unknown; untilMs: number }>();
  readonly cache: MemoryCache = createMemoryCache({
    maxBytes: MAX_BYTES,
    ttlJitter: 0,
    clock: this.#clock,
  });

  /** @returns what the cache says beside what is true, where it says anything */
  async take(taken: Step): Promise<{ said: unknown; truth: unknown } | undefined> {
    if (taken.kind === 'advance') await this.#clock.advance(taken.byMs);
    else if (taken.kind === 'set') this.#set(taken.key, taken.value, taken.ttlMs);
    else if (taken.kind === 'get') return this.#get(taken.key);
    else if (taken.kind === 'clear') for (const store of [this.cache, this.#stored]) store.clear();
    else for (const store of [this.cache, this.#stored]) store.delete(taken.key);
    return undefined;
  }

  #set(name: string, stored: unknown, ttlMs: number): void {
    try {
      const { kind } = this.cache.set(name, stored, { ttlMs });
      this.#stored.delete(name);
      if (kind === 'stored')
        this.#stored.set(name, { value: stored, untilMs: this.#clock.now() + ttlMs });
    } catch (error) {
      if (!(error instanceof CacheValueError)) throw error;
    }
  }

  #get(name: string): { said: unknown; truth: unknown } | undefined {
    const found = this.cache.lookup(name);
    const expected = this.#stored.get(name);
    const truth =
      expected !== undefined && expected.untilMs > this.#clock.now()
        ? { kind: 'hit', value: expected.value }
        : { kind: 'miss' };
    if (found.kind === 'hit') return { said: { kind: 'hit', value: found.value }, truth };
    return this.cache.getStats().evictions > 0 ? undefined : { said: found, truth };
  }
}

test(`whatever is done, a cache has nothing but what was stored last (seed ${SEED})`, async () => {
  await assert(
    asyncProperty(array(step, { maxLength: 120 }), async (steps) => {
      const model = new Model();
      for (const taken of steps) {
        const answer = await model.take(taken);
        expect(answer?.said).toStrictEqual(answer?.truth);
        const { bytes, entries } = model.cache.getStats();
        expect(bytes).toBeLessThanOrEqual(MAX_BYTES);
        expect(model.cache.keys()).toHaveLength(entries);
      }
    }),
    { seed: SEED, numRuns: 150 },
  );
});
