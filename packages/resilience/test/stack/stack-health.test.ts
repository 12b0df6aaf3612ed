import { expect, test } from '@jest/globals';
import { createResilienceStack } from '@holdfast/resilience';
import { createFakeClock } from '@holdfast/foundation/testing';

const failing = (): Promise<never> =>
  Promise.reject(Object.assign(new Error('connect'), { code: 'ECONNREFUSED' }));

test('repeated failures open the circuit of their key only, and the health says so', async () => {
  const clock = createFakeClock();
  const stack = createResilienceStack({ circuitBreaker: { failureThreshold: 5 }, clock });
  await stack.execute('healthy', async () => 'ok');
  await stack.execute('also healthy', async () => 'ok');
  expect(stack.getHealthState()).toEqual({ level: 'healthy', reasons: [], circuits: [] });
  for (let call = 0; call < 5; call += 1) await stack.tryExecute('sick', failing);
  expect(stack.circuitBreaker('sick')?.state).toBe('open');
  expect(await stack.execute('healthy', async () => 'ok')).toBe('ok');
  expect(stack.getHealthState()).toMatchObject({
    level: 'degraded',
    reasons: ['1 of 3 circuits are not closed'],
    circuits: [{ key: 'sick', state: 'open', lastStateChange: expect.any(Number) }],
  });
  for (let call = 0; call < 5; call += 1) await stack.tryExecute('also healthy', failing);
  expect(stack.getHealthState().level).toBe('critical');
  stack.reset();
  expect(stack.getHealthState().level).toBe('healthy');
});

test('calls that wait for a slot degrade a stack, and a full queue makes it critical', async () => {
  const stack = createResilienceStack({
    bulkhead: { maxConcurrent: 1, maxQueueSize: 2 },
    clock: createFakeClock(),
  });
  const { promise, resolve } = Promise.withResolvers<string>();
  const calls = [stack.execute(() => promise)];
  expect(stack.getHealthState().level).toBe('healthy');
  calls.push(stack.execute(() => promise));
  expect(stack.getHealthState()).toMatchObject({
    level: 'degraded',
    reasons: ['calls wait for a slot: 1 of 2 places in the queue are taken'],
  });
  calls.push(stack.execute(() => promise));
  expect(stack.getHealthState()).toMatchObject({
    level: 'critical',
    reasons: ['all 1 slots and the queue of 2 are full'],
  });
  resolve('ok');
  await Promise.all(calls);
  expect(stack.getHealthState()).toEqual({ level: 'healthy', reasons: [], circuits: [] });
});

test('a health state lists twenty circuits at most', async () => {
  const stack = createResilienceStack({
    circuitBreaker: { failureThreshold: 1 },
    clock: createFakeClock(),
  });
  for (let key = 0; key < 30; key += 1) await stack.tryExecute(`key-${key}`, failing);
  const { circuits, reasons } = stack.getHealthState();
  expect(circuits).toHaveLength(20);
  expect(reasons).toEqual(['30 of 30 circuits are not closed']);
});

test.each([
  ['no policy that waits', {}],
  ['a bulkhead', { bulkhead: { maxConcurrent: 1 } }],
  ['a rate limiter', { rateLimiter: { maxTokens: 1, refillRate: 1 } }],
])('a closed stack with %s is critical, and says why', async (_, options) => {
  const stack = createResilienceStack({ ...options, clock: createFakeClock() });
  expect(stack.getHealthState().level).toBe('healthy');
  const closing = stack.close({ drain: true });
  const closed = { level: 'critical', reasons: ['the stack is closed'], circuits: [] };
  expect(stack.getHealthState()).toEqual(closed);
  await closing;
  await stack.close();
  expect(stack.getHealthState()).toEqual(closed);
});
