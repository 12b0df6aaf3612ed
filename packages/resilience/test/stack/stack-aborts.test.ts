import { getEventListeners } from 'node:events';
import { expect, test } from '@jest/globals';
import { seededRandom } from '@holdfast/foundation';
import { createResilienceStack } from '@holdfast/resilience';
import { createFakeClock } from '@holdfast/foundation/testing';

const refused = Object.assign(new Error('connect'), { code: 'ECONNREFUSED' });

test('20 000 calls aborted at random moments (seed 20261122) leave no listener, timer, slot or call', async () => {
  const seed = 20_261_122;
  const random = seededRandom(seed);
  const clock = createFakeClock();
  const stack = createResilienceStack({
    name: 'portal',
    clock,
    random,
    circuitBreaker: { failureThreshold: 50, openDurationMs: 5 },
    maxKeys: 16,
    retry: { initialDelayMs: 5, maxDelayMs: 20, maxAttempts: 3 },
    bulkhead: { maxConcurrent: 20, maxQueueSize: 50, queueTimeoutMs: 30 },
    rateLimiter: { maxTokens: 100, refillRate: 20_000, maxWaitMs: 10 },
    timeoutMs: 10,
  });
  const shared = new AbortController();
  let settled = 0;
  let started = 0;
  let running = 0;
  const work = async (signal: AbortSignal): Promise<string> => {
    running += 1;
    try {
      if (random() < 0.3) throw refused;
      await new Promise<void>((resolve) => {
        const timer = clock.schedule(random() * 20, resolve);
        signal.addEventListener('abort', () => {
          timer.cancel();
          resolve();
        });
      });
      return 'ok';
    } finally {
      running -= 1;
    }
  };
  for (let round = 0; round < 200; round += 1) {
    const controllers: AbortController[] = [];
    for (let call = 0; call < 100; call += 1) {
      const controller = new AbortController();
      controllers.push(controller);
      const signal = call % 4 === 0 ? shared.signal : controller.signal;
      started += 1;
      void stack
        .tryExecute(`key-${Math.floor(random() * 40)}`, work, { signal })
        .then(() => (settled += 1));
    }
    await clock.advance(Math.floor(random() * 8));
    for (const controller of controllers) if (random() < 0.5) controller.abort(seed);
  }
  await clock.advance(1_000);
  expect({ settled, running }).toEqual({ settled: started, running: 0 });
  expect(getEventListeners(shared.signal, 'abort')).toHaveLength(0);
  expect(clock.pendingTimers).toBe(0);
  expect(stack.getStats().bulkhead).toMatchObject({ activeCount: 0, queuedCount: 0 });
  expect(stack.getStats().circuitBreaker?.keys).toBeLessThanOrEqual(16);
  const { calls, successes, failures, refusals, aborts } = stack.getStats();
  expect(successes + failures + refusals + aborts).toBe(calls);
  expect(Math.min(successes, failures, refusals, aborts)).toBeGreaterThan(0);
}, 30_000);
