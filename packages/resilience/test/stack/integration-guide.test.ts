import { expect, test } from '@jest/globals';
import { seededRandom } from '@holdfast/foundation';
import {
  type ResilienceStack,
  type ResilienceStackOptions,
  createResilienceStack,
} from '@holdfast/resilience';
import { type FakeClock, createFakeClock } from '@holdfast/foundation/testing';

const seed = 20_261_122;
const refused = Object.assign(new Error('connect'), { code: 'ECONNREFUSED' });
const failing = (): Promise<never> => Promise.reject(refused);

function open(options: ResilienceStackOptions): { clock: FakeClock; stack: ResilienceStack } {
  const clock = createFakeClock();
  const random = seededRandom(seed);
  return { clock, stack: createResilienceStack({ name: 'guide', ...options, clock, random }) };
}

test('of 100 operations whose every attempt fails with a chance of one half (seed 20261122), more than 80 succeed', async () => {
  const { clock, stack } = open({
    circuitBreaker: { failureThreshold: 50 },
    retry: { maxAttempts: 5, initialDelayMs: 100 },
    bulkhead: { maxConcurrent: 10, maxQueueSize: 100 },
  });
  const random = seededRandom(seed);
  let attempts = 0;
  let failures = 0;
  const failsHalfTheTime = async (): Promise<string> => {
    attempts += 1;
    if (random() >= 0.5) return 'ok';
    failures += 1;
    throw refused;
  };
  let succeeded = 0;
  for (let operation = 0; operation < 100; operation += 1) {
    const outcome = await clock.settle(stack.tryExecute(failsHalfTheTime));
    if (outcome.kind === 'value') succeeded += 1;
  }
  expect(succeeded).toBeGreaterThan(80);
  expect(attempts).toBe(stack.getStats().retry?.attempts);
  // Half of the attempts really failed: otherwise the successes would say nothing.
  expect(failures / attempts).toBeGreaterThan(0.4);
  expect(failures / attempts).toBeLessThan(0.6);
});

test('the circuit stays closed one failure below its threshold and opens at it', async () => {
  const { stack } = open({ circuitBreaker: { failureThreshold: 5 } });
  for (let call = 0; call < 4; call += 1) await stack.tryExecute('wi', failing);
  expect(stack.circuitBreaker('wi')?.state).toBe('closed');
  await stack.tryExecute('wi', failing);
  expect(stack.circuitBreaker('wi')?.state).toBe('open');
  expect(await stack.tryExecute('wi', async () => 'ok')).toMatchObject({
    kind: 'refused',
    policy: 'circuit-breaker',
  });
});

test('a stale answer is served while calls fail, and while the open circuit refuses them', async () => {
  const { clock, stack } = open({ circuitBreaker: { failureThreshold: 1 } });
  const cachedValue = { value: 'yesterday', timestamp: clock.epochMs() - 86_400_000 };
  expect(await stack.execute('wi', failing, { cachedValue })).toBe('yesterday');
  expect(stack.circuitBreaker('wi')?.state).toBe('open');
  const outcome = await stack.tryExecute('wi', async () => 'today', { cachedValue });
  expect(outcome).toMatchObject({ kind: 'substitute', source: 'stale', value: 'yesterday' });
});

test('150 rapid calls against 100 tokens leave 50 of them limited, and time lets calls through again', async () => {
  const { clock, stack } = open({ rateLimiter: { maxTokens: 100, refillRate: 10 } });
  const burst = (calls: number): Promise<string[]> =>
    Promise.all(
      Array.from({ length: calls }, async () => {
        const outcome = await stack.tryExecute(async () => 'ok');
        return outcome.kind;
      }),
    );
  const kinds = await burst(150);
  expect(kinds.filter((kind) => kind === 'refused')).toHaveLength(50);
  await clock.advance(1_000);
  expect((await burst(11)).filter((kind) => kind === 'refused')).toHaveLength(1);
});
