import { expect, test } from '@jest/globals';
import { sleep } from '@holdfast/foundation';
import { type FakeClock, createFakeClock } from '@holdfast/foundation/testing';
import {
  createAdaptiveLimit,
  createBulkhead,
  createCircuitBreaker,
  createHedge,
  createKeyedCircuitBreakers,
  createRateLimiter,
  createResilienceStack,
  createRetry,
  createRetryBudget,
  createThrottle,
  createTimeout,
} from '@holdfast/resilience';
import { failureOf } from '../failures.ts';

const failing = async (): Promise<never> => {
  throw Object.assign(new Error('down'), { code: 'ECONNREFUSED' });
};

/** What a call comes to: a value, or the code of its error. */
async function codeOf(call: Promise<unknown>): Promise<unknown> {
  try {
    return await call;
  } catch (error) {
    return Reflect.get(Object(error), 'code');
  }
}

/** Says what a policy decides at one moment; called every 100 ms. */
type Ask = () => unknown;

const half = (): number => 0.5;

/** Everything here that refills, expires or retries. */
const policies: Readonly<Record<string, (clock: FakeClock) => Ask>> = {
  'the tokens of a limiter': (clock) => {
    const limiter = createRateLimiter({ maxTokens: 2, refillRate: 3, clock });
    return () => [limiter.tryAcquire(), limiter.tryAcquire(), limiter.getStats()];
  },
  'those who wait for a token': (clock) => {
    const limiter = createRateLimiter({ maxTokens: 1, refillRate: 4, maxQueueSize: 5, clock });
    const served: number[] = [];
    return () => {
      void codeOf(limiter.acquire(1).then(() => served.push(clock.now())));
      return [...served];
    };
  },
  'a retry budget': (clock) => {
    const options = { maxSavedRetries: 2, minRetriesPerSecond: 3, clock };
    const budget = createRetryBudget(options);
    return () => [budget.tryWithdraw(), budget.tryWithdraw(), budget.getStats()];
  },
  'a circuit that opens and is probed': (clock) => {
    const options = { failureThreshold: 2, openDurationMs: 350, windowMs: 1_000, clock };
    const breaker = createCircuitBreaker({ ...options, openDurationMultiplier: 2 });
    return async () => [await codeOf(breaker.execute(failing)), breaker.state];
  },
  'a probe that is lost': (clock) => {
    const options = { failureThreshold: 1, openDurationMs: 150, probeTimeoutMs: 250, clock };
    const breaker = createCircuitBreaker(options);
    void codeOf(breaker.execute(failing));
    return () => {
      void codeOf(breaker.execute(() => new Promise(() => undefined)));
      return breaker.state;
    };
  },
  'a failure rate over a window': (clock) => {
    const window = { windowMs: 500, minimumCalls: 4, failureRateThreshold: 0.5 };
    const rate = { ...window, failureThreshold: 1_000, openDurationMs: 300, clock };
    const breaker = createCircuitBreaker(rate);
    let calls = 0;
    return async () => {
      calls += 1;
      const work = calls % 3 === 0 ? failing : (): string => 'up';
      return [await codeOf(breaker.execute(work)), breaker.state];
    };
  },
  'circuits that are forgotten when idle': (clock) => {
    const circuits = createKeyedCircuitBreakers({
      failureThreshold: 1,
      openDurationMs: 300,
      clock,
    });
    let calls = 0;
    return async () => {
      calls += 1;
      return [await codeOf(circuits.get(`${calls % 4}`).execute(failing)), circuits.getStats()];
    };
  },
  'the pauses of a retry': (clock) => {
    const options = { maxAttempts: 5, initialDelayMs: 70, timeoutMs: 450, random: half, clock };
    const policy = createRetry(options);
    const ended: unknown[] = [];
    return () => {
      void failureOf(policy.execute(failing)).then((error) =>
        ended.push([clock.now(), Reflect.get(Object(error), 'exhaustedBy')]),
      );
      return [...ended];
    };
  },
  'a timeout': (clock) => {
    const timeout = createTimeout({ timeoutMs: 250, clock });
    const ended: number[] = [];
    return () => {
      const call = timeout.execute((signal) => sleep(clock, 10_000, signal));
      void codeOf(call).then(() => ended.push(clock.now()));
      return [...ended];
    };
  },
  'a queue timeout': (clock) => {
    const bulkhead = createBulkhead({ maxConcurrent: 1, queueTimeoutMs: 250, clock });
    const ended: unknown[] = [];
    return () => {
      void codeOf(bulkhead.execute(() => sleep(clock, 400))).then((code) =>
        ended.push([clock.now(), code]),
      );
      return [[...ended], bulkhead.getStats()];
    };
  },
  'a hedge': (clock) => {
    const hedge = createHedge({ delayMs: 150, clock });
    return () => {
      void codeOf(hedge.execute((signal) => sleep(clock, 320, signal)));
      return hedge.getStats().hedgeCount;
    };
  },
  'an adaptive limit': (clock) => {
    const limits = { initialLimit: 4, minLimit: 1, maxLimit: 8, minimumSamples: 1, windowMs: 200 };
    const limit = createAdaptiveLimit({ ...limits, remeasureEveryMs: 1_000, random: half, clock });
    let tookMs = 10;
    return () => {
      tookMs = (tookMs * 7) % 190;
      for (let call = 0; call < 3; call += 1)
        void codeOf(limit.execute(() => sleep(clock, tookMs)));
      return limit.getStats();
    };
  },
  'a throttle': (clock) => {
    const throttle = createThrottle({ windowMs: 1_200, tolerance: 1, random: half, clock });
    return async () => [await codeOf(throttle.execute(failing)), throttle.getStats()];
  },
  'a stack': (clock) => {
    const stack = createResilienceStack({
      circuitBreaker: { failureThreshold: 3, openDurationMs: 450 },
      retry: { maxAttempts: 2, initialDelayMs: 30 },
      rateLimiter: { maxTokens: 3, refillRate: 6 },
      bulkhead: { maxConcurrent: 2, queueTimeoutMs: 200 },
      timeoutMs: 100,
      random: half,
      clock,
    });
    const ended: unknown[] = [];
    return () => {
      void codeOf(stack.execute(failing)).then((code) => ended.push([clock.now(), code]));
      return [...ended];
    };
  },
};

const HOUR_MS = 3_600_000;
/** Back and forth, by less and by more than anything here lasts. */
const jumpsMs = [HOUR_MS, -5 * HOUR_MS, 30, -90, 24 * HOUR_MS, -1, 0, -24 * HOUR_MS];

/** All that a policy decided in three seconds, without what is a wall-clock time by its own name. */
async function traceOf(name: string, jumps: readonly number[]): Promise<unknown> {
  const clock = createFakeClock();
  const ask = policies[name]?.(clock) ?? ((): undefined => undefined);
  const trace: unknown[] = [];
  for (let step = 0; step < 30; step += 1) {
    trace.push(await ask());
    clock.stepWallClock(jumps[step % jumps.length] ?? 0);
    await clock.advance(100);
  }
  return JSON.parse(
    JSON.stringify(trace, (key, value) => (/[eE]poch|Change/.test(key) ? 0 : value)),
  );
}

test.each(Object.keys(policies))(
  '%s decides the same whatever the wall clock does',
  async (name) => {
    const steady = await traceOf(name, [0]);
    expect(await traceOf(name, jumpsMs)).toEqual(steady);
    // The scenario decides something at all.
    expect(
      new Set(Array.isArray(steady) ? steady.map((at) => JSON.stringify(at)) : []).size,
    ).toBeGreaterThan(1);
  },
);
