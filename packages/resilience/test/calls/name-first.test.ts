import { expect, test } from '@jest/globals';
import { InvalidOptionError } from '@holdfast/foundation';
import {
  createAdaptiveLimit,
  createBulkhead,
  createCircuitBreaker,
  createKeyedCircuitBreakers,
  createRateLimiter,
  createResilienceStack,
  createRetry,
  createThrottle,
  createTimeout,
} from '@holdfast/resilience';
import { failureOf } from '../failures.ts';

const limits = { maxTokens: 1, refillRate: 1 };
const down = (): Promise<never> =>
  Promise.reject(Object.assign(new Error(), { code: 'ETIMEDOUT' }));

test('every policy with a name takes it first, beside { name }', async () => {
  const named = [
    createCircuitBreaker('upstream-x', { failureThreshold: 3 }),
    createCircuitBreaker('upstream-x'),
    createCircuitBreaker({ name: 'upstream-x' }),
    createKeyedCircuitBreakers('upstream-x', { maxKeys: 3 }).get('key'),
    createBulkhead('upstream-x', { maxConcurrent: 3 }),
    createBulkhead('upstream-x'),
    createRateLimiter('upstream-x', limits),
    createRateLimiter({ name: 'upstream-x', ...limits }),
    createAdaptiveLimit('upstream-x', { initialLimit: 3 }),
    createThrottle('upstream-x'),
    createResilienceStack('upstream-x', { retry: { maxAttempts: 1 } }),
    createResilienceStack('upstream-x'),
  ];
  expect(named.map(({ name }) => name)).toEqual(named.map(() => 'upstream-x'));
  const policy = createRetry('upstream-x', { maxAttempts: 1 });
  expect(await failureOf(policy.execute(down))).toMatchObject({
    message: expect.stringContaining('upstream-x'),
  });
  const timeout = createTimeout('upstream-x', { timeoutMs: 1 });
  const late = timeout.execute(() => new Promise<never>(() => undefined));
  expect(await failureOf(late)).toMatchObject({ message: expect.stringContaining('upstream-x') });
});

test('the options beside the name count', async () => {
  const breaker = createCircuitBreaker('upstream-x', { failureThreshold: 2 });
  await failureOf(breaker.execute(down));
  expect(breaker.state).toBe('closed');
  await failureOf(breaker.execute(down));
  expect(breaker.state).toBe('open');
  expect(createBulkhead('b', { maxConcurrent: 3 }).getStats().maxConcurrent).toBe(3);
});

test('a name given twice is refused, unless it is the same', () => {
  const twice: { name: string; maxConcurrent: number } = { name: 'other', maxConcurrent: 3 };
  expect(() => createBulkhead('upstream-x', twice)).toThrow(InvalidOptionError);
  expect(() => createBulkhead('upstream-x', twice)).toThrow(/name must be absent.*"upstream-x"/);
  expect(createBulkhead('other', twice).name).toBe('other');
});

test('a name that is none is refused by its field, and so are options that are none', () => {
  expect(() => createBulkhead('')).toThrow(expect.objectContaining({ field: 'name', value: '' }));
  const wrong: unknown[] = [5, null, [], 'text'];
  for (const options of wrong) {
    const create = (): unknown => Reflect.apply(createBulkhead, undefined, ['b', options]);
    expect(create).toThrow(expect.objectContaining({ field: 'options', value: options }));
  }
  const reversed = (): unknown =>
    Reflect.apply(createBulkhead, undefined, [{ maxConcurrent: 1 }, {}]);
  expect(reversed).toThrow(expect.objectContaining({ field: 'name' }));
});
