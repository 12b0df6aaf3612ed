import { getEventListeners } from 'node:events';
import { expect, test } from '@jest/globals';
import { type HoldfastError, seededRandom } from '@holdfast/foundation';
import { createBulkhead, createRateLimiter } from '@holdfast/resilience';
import { createFakeClock } from '@holdfast/foundation/testing';

const CALLS = 100_000;
const seed = 5;

test('100 000 calls aborted at random moments leave no listener, no timer and no pending promise', async () => {
  const clock = createFakeClock();
  const random = seededRandom(seed);
  const limiter = createRateLimiter({ maxTokens: 500, refillRate: 8_000, maxWaitMs: 50, clock });
  const bulkhead = createBulkhead({
    maxConcurrent: 50,
    maxQueueSize: 60,
    queueTimeoutMs: 20,
    clock,
  });
  const longLived = new AbortController();
  const outcomes = new Map<string, number>();
  const running = new Set<() => void>();
  const leaving = new Set<AbortController>();
  let settled = 0;

  const work = (signal: AbortSignal | undefined): Promise<string> =>
    new Promise((resolve, reject) => {
      const end = (): void => {
        running.delete(end);
        signal?.removeEventListener('abort', onAbort);
        resolve('answered');
      };
      const onAbort = (): void => {
        running.delete(end);
        reject(signal?.reason);
      };
      running.add(end);
      signal?.addEventListener('abort', onAbort, { once: true });
    });
  const call = async (signal: AbortSignal): Promise<string> => {
    await limiter.acquire(1, { signal });
    return bulkhead.execute(work, { signal });
  };

  const outcomeOf = async (signal: AbortSignal): Promise<void> => {
    const outcome = await call(signal).catch((error: HoldfastError) => error.code);
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    settled += 1;
  };

  const controllers: AbortController[] = [];
  for (let made = 0; made < CALLS; made += 1) {
    const own = random() < 0.9 ? new AbortController() : longLived;
    if (own !== longLived) {
      controllers.push(own);
      leaving.add(own);
    }
    void outcomeOf(own.signal);
    for (const end of running) if (random() < 0.01) end();
    for (const controller of leaving) {
      if (random() < 0.998) continue;
      leaving.delete(controller);
      if (random() < 0.5) controller.abort({ code: 'left' });
    }
    if (random() < 0.1) await clock.advance(random() * 2);
  }
  longLived.abort({ code: 'left' });
  for (const controller of leaving) controller.abort({ code: 'left' });
  for (let turn = 0; turn < 100; turn += 1) {
    for (const end of running) end();
    await clock.advance(1);
  }

  expect(settled).toBe(CALLS);
  expect(clock.pendingTimers).toBe(0);
  expect(bulkhead.getStats()).toMatchObject({ activeCount: 0, queuedCount: 0 });
  expect(limiter.getStats().queuedCount).toBe(0);
  expect(getEventListeners(longLived.signal, 'abort')).toHaveLength(0);
  const listening = controllers.filter(
    ({ signal }) => getEventListeners(signal, 'abort').length > 0,
  );
  expect(listening).toHaveLength(0);
  // The run met every way to end: otherwise it proves less than it says.
  expect([...outcomes.keys()].toSorted()).toEqual([
    'RATE_LIMIT_EXCEEDED',
    'RESILIENCE_BULKHEAD_FULL',
    'RESILIENCE_BULKHEAD_TIMEOUT',
    'answered',
    'left',
  ]);
  expect(Math.min(...outcomes.values())).toBeGreaterThan(100);
});
