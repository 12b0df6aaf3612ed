import { expect, test } from '@jest/globals';
import { type RateLimiter, createRateLimiter } from '@holdfast/resilience';
import { type FakeClock, createFakeClock } from '@holdfast/foundation/testing';
import {
  type Arbitrary,
  array,
  assert,
  asyncProperty,
  constant,
  double,
  integer,
  nat,
  oneof,
  record,
} from 'fast-check';

const seed = 20_261_123;
const MAX_WAIT_MS = 1_000;

type Step =
  | { do: 'try'; tokens: number }
  | { do: 'wait'; tokens: number }
  | { do: 'abort'; which: number }
  | { do: 'pass'; ms: number }
  | { do: 'step wall clock'; ms: number };

const tokens = integer({ min: 1, max: 5 });
const step: Arbitrary<Step> = oneof(
  { weight: 4, arbitrary: record({ do: constant('try'), tokens }) },
  { weight: 4, arbitrary: record({ do: constant('wait'), tokens }) },
  { weight: 2, arbitrary: record({ do: constant('abort'), which: nat() }) },
  { weight: 4, arbitrary: record({ do: constant('pass'), ms: integer({ min: 1, max: 400 }) }) },
  {
    weight: 1,
    arbitrary: record({
      do: constant('step wall clock'),
      ms: integer({ min: -10_000_000, max: 10_000_000 }),
    }),
  },
);

interface Waiter {
  readonly id: number;
  readonly controller: AbortController;
  /** When it was told, on coming, that it would be let through. */
  readonly dueMs: number;
}

/** One run of a limiter, keeping account of who was let through when. */
class Run {
  readonly clock: FakeClock = createFakeClock();
  readonly limiter: RateLimiter;
  readonly grants: { readonly atMs: number; readonly tokens: number }[] = [];
  readonly servedInOrder: number[] = [];
  readonly waiting = new Map<number, Waiter>();
  /** How much later than promised anybody was let through. */
  latestMs = 0;
  /** Answers that did not agree with what the limiter had said the moment before. */
  readonly brokenPromises: string[] = [];
  #lastId = 0;

  constructor(maxTokens: number, refillRate: number) {
    const { clock } = this;
    this.limiter = createRateLimiter({ maxTokens, refillRate, maxWaitMs: MAX_WAIT_MS, clock });
  }

  async take(action: Step): Promise<void> {
    switch (action.do) {
      case 'try':
        this.#try(action.tokens);
        break;
      case 'wait':
        await this.#wait(action.tokens);
        break;
      case 'abort': {
        const waiters = [...this.waiting.values()];
        waiters[action.which % Math.max(1, waiters.length)]?.controller.abort({ code: 'left' });
        break;
      }
      case 'pass':
        await this.clock.advance(action.ms);
        break;
      case 'step wall clock':
        this.clock.stepWallClock(action.ms);
        break;
    }
    await this.clock.advance(0);
  }

  #try(wanted: number): void {
    const atOnce = this.limiter.retryAfterMs(wanted) === 0 && this.waiting.size === 0;
    if (this.limiter.tryAcquire(wanted) !== atOnce) this.brokenPromises.push('try');
    if (atOnce) this.grants.push({ atMs: this.clock.now(), tokens: wanted });
  }

  async #wait(wanted: number): Promise<void> {
    const id = (this.#lastId += 1);
    const controller = new AbortController();
    const promisedMs = this.limiter.retryAfterMs(wanted);
    const dueMs = this.clock.now() + promisedMs;
    this.waiting.set(id, { id, controller, dueMs });
    let refusal = '';
    this.limiter.acquire(wanted, { signal: controller.signal }).then(
      () => {
        this.waiting.delete(id);
        this.servedInOrder.push(id);
        this.grants.push({ atMs: this.clock.now(), tokens: wanted });
        this.latestMs = Math.max(this.latestMs, this.clock.now() - dueMs);
        return undefined;
      },
      (error: { code: string }) => {
        this.waiting.delete(id);
        refusal = error.code;
      },
    );
    await this.clock.advance(0);
    const expected = promisedMs > MAX_WAIT_MS ? 'RATE_LIMIT_EXCEEDED' : '';
    if (refusal !== expected) this.brokenPromises.push('wait');
  }
}

test('in any order of events no interval exceeds burst and refill, and no call overtakes', async () => {
  await assert(
    asyncProperty(
      integer({ min: 5, max: 20 }),
      double({ min: 0.5, max: 50, noNaN: true }),
      array(step, { minLength: 30, maxLength: 150, size: 'max' }),
      async (maxTokens, refillRate, steps) => {
        const run = new Run(maxTokens, refillRate);
        for (const action of steps) {
          await run.take(action);
          expect(run.limiter.getStats().queuedCount).toBe(run.waiting.size);
          expect(run.clock.pendingTimers).toBe(Math.min(1, run.waiting.size));
        }
        expect(run.brokenPromises).toEqual([]);
        // A bucket that is full a fraction before its timer fires overflows by that fraction.
        expect(run.latestMs).toBeLessThan(MAX_WAIT_MS / 100);
        expect(run.servedInOrder).toEqual(run.servedInOrder.toSorted((a, b) => a - b));
        for (const [from, { atMs }] of run.grants.entries()) {
          let taken = 0;
          for (const grant of run.grants.slice(from)) {
            taken += grant.tokens;
            const refilled = ((grant.atMs - atMs) * refillRate) / 1_000;
            expect(taken).toBeLessThanOrEqual(maxTokens + refilled + 1e-6);
          }
        }
      },
    ),
    { seed, numRuns: 150 },
  );
});
