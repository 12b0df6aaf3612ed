import { expect, test } from '@jest/globals';
import {
  createAdaptiveLimit,
  createBulkhead,
  createCircuitBreaker,
  createCoalescer,
  createFallback,
  createHedge,
  createKeyedCircuitBreakers,
  createRateLimiter,
  createResilienceStack,
  createRetry,
  createRetryBudget,
  createThrottle,
  createTimeout,
  retry,
  withTimeout,
} from '@holdfast/resilience';

type Call = (...given: unknown[]) => unknown;

/** Calls as plain JavaScript would, past the types. */
function method(target: object, name: string, ...before: unknown[]): Call {
  const found: unknown = Reflect.get(target, name);
  if (typeof found !== 'function') throw new TypeError(`no method ${name}`);
  return (...given) => Reflect.apply(found, target, [...before, ...given]);
}

function plain(name: string, given: Call | ((...given: never[]) => unknown)): [string, Call] {
  return [name, (...args) => Reflect.apply(given, undefined, args)];
}

const factories: readonly [string, Call][] = [
  plain('createAdaptiveLimit', createAdaptiveLimit),
  plain('createBulkhead', createBulkhead),
  plain('createCircuitBreaker', createCircuitBreaker),
  plain('createCoalescer', createCoalescer),
  plain('createFallback', createFallback),
  plain('createHedge', createHedge),
  plain('createKeyedCircuitBreakers', createKeyedCircuitBreakers),
  plain('createRateLimiter', createRateLimiter),
  plain('createResilienceStack', createResilienceStack),
  plain('createRetry', createRetry),
  plain('createRetryBudget', createRetryBudget),
  plain('createThrottle', createThrottle),
  plain('createTimeout', createTimeout),
];

test.each(factories)(
  '%s refuses options that are none, and names the unknown one',
  (name, create) => {
    for (const given of [null, 5, true, [], () => 1]) {
      expect(() => create(given)).toThrow(
        expect.objectContaining({ code: 'INVALID_OPTION', field: 'options' }),
      );
    }
    for (const given of [null, 5, []]) {
      expect(() => create('name', given)).toThrow(
        expect.objectContaining({ code: 'INVALID_OPTION' }),
      );
    }
    expect(() => create({ nope: 'hunter2' })).toThrow(
      expect.objectContaining({
        code: 'INVALID_OPTION',
        field: 'nope',
        message: expect.stringMatching(
          new RegExp(`^${name}: nope must be one of the known options`),
        ),
      }),
    );
  },
);

const limiter = { maxTokens: 1_000, refillRate: 1 };

const executes: readonly [string, Call][] = [
  ['stack.execute', method(createResilienceStack(), 'execute')],
  ['stack.execute with a key', method(createResilienceStack(), 'execute', 'key')],
  ['stack.tryExecute', method(createResilienceStack(), 'tryExecute')],
  ['breaker.execute', method(createCircuitBreaker(), 'execute')],
  ['breaker.tryExecute', method(createCircuitBreaker(), 'tryExecute')],
  ['keyed breakers', method(createKeyedCircuitBreakers().get('key'), 'execute')],
  ['bulkhead.execute', method(createBulkhead(), 'execute')],
  ['limiter.execute', method(createRateLimiter(limiter), 'execute')],
  ['retry.execute', method(createRetry(), 'execute')],
  plain('retry', retry),
  ['hedge.execute', method(createHedge({ delayMs: 5 }), 'execute')],
  ['timeout.execute', method(createTimeout({ timeoutMs: 1_000 }), 'execute')],
  ['coalescer.execute', method(createCoalescer(), 'execute', 'key')],
  ['fallback.execute', method(createFallback(), 'execute')],
  ['adaptive limit', method(createAdaptiveLimit(), 'execute')],
  ['throttle.execute', method(createThrottle(), 'execute')],
];

const work = (): string => 'done';

const wrong: readonly [string, readonly unknown[], string][] = [
  ['a number for work', [5], 'work'],
  ['null for work', [null], 'work'],
  ['no work', [], 'work'],
  ['a number for options', [work, 5], 'options'],
  ['null for options', [work, null], 'options'],
  ['a list for options', [work, []], 'options'],
  ['a string for options', [work, 'stop'], 'options'],
  ['a number for a signal', [work, { signal: 5 }], 'signal'],
  ['null for a signal', [work, { signal: null }], 'signal'],
  ['a controller for its signal', [work, { signal: new AbortController() }], 'signal'],
  ['an unknown option', [work, { nope: 5 }], 'nope'],
];

test.each(executes)('%s rejects wrong arguments by name, and calls nothing', async (_, call) => {
  let isCalled = false;
  const spy = (): void => void (isCalled = true);
  for (const [what, given, field] of wrong) {
    const [first, ...rest] = given;
    const args = given.length === 0 ? [] : [first === work ? spy : first, ...rest];
    // A promise in any case: nothing is thrown at the caller.
    const outcome = call(...args);
    expect([what, outcome]).toEqual([what, expect.any(Promise)]);
    await expect(outcome).rejects.toMatchObject({ code: 'INVALID_OPTION', field });
  }
  expect(isCalled).toBe(false);
  const options = { signal: new AbortController().signal };
  expect(await call(work, options)).toEqual(expect.anything());
  expect(await call(work, { signal: undefined })).toEqual(expect.anything());
});

test.each<[string, Call, readonly unknown[], string]>([
  ['a key that is none', method(createResilienceStack(), 'execute'), [5, work], 'key'],
  ['a key that is none', method(createCoalescer(), 'execute'), [5, work], 'key'],
  [
    'a handler that is none',
    method(createHedge(), 'execute'),
    [work, { onDiscarded: 5 }],
    'onDiscarded',
  ],
  [
    'a handler that is none',
    method(createTimeout({ timeoutMs: 1 }), 'execute'),
    [work, { onSettled: 5 }],
    'onSettled',
  ],
  [
    'a fallback that is none',
    method(createResilienceStack(), 'execute'),
    [work, { fallback: 5 }],
    'fallback',
  ],
  [
    'an unknown priority',
    method(createBulkhead(), 'execute'),
    [work, { priority: 'urgent' }],
    'priority',
  ],
  [
    'an unknown priority',
    method(createBulkhead(), 'acquire'),
    [{ priority: 'urgent' }],
    'priority',
  ],
  ['a signal that is none', method(createBulkhead(), 'acquire'), [{ signal: 5 }], 'signal'],
  ['no options', method(createBulkhead(), 'acquire'), [null], 'options'],
  [
    'a signal that is none',
    method(createRateLimiter(limiter), 'acquire'),
    [1, { signal: 5 }],
    'signal',
  ],
  ['no options', method(createRateLimiter(limiter), 'acquire'), [1, null], 'options'],
  [
    'a number of tokens',
    method(createRateLimiter(limiter), 'execute'),
    [work, { tokens: 'one' }],
    'tokens',
  ],
  ['no options', (...given) => Reflect.apply(withTimeout, undefined, given), [work], 'options'],
  [
    'no work',
    (...given) => Reflect.apply(withTimeout, undefined, given),
    [5, { timeoutMs: 5 }],
    'work',
  ],
  [
    'a signal that is none',
    (...given) => Reflect.apply(withTimeout, undefined, given),
    [work, { timeoutMs: 5, signal: 5 }],
    'signal',
  ],
])('%s is refused by its name', async (_, call, given, field) => {
  await expect(call(...given)).rejects.toMatchObject({ code: 'INVALID_OPTION', field });
});

test('wrong arguments count for no policy', async () => {
  const stack = createResilienceStack({
    circuitBreaker: {},
    retry: {},
    bulkhead: {},
    rateLimiter: limiter,
  });
  await expect(method(stack, 'execute')(5)).rejects.toMatchObject({ field: 'work' });
  await expect(method(stack, 'execute')(work, { signal: 5 })).rejects.toMatchObject({
    field: 'signal',
  });
  expect(stack.getStats()).toMatchObject({
    calls: 0,
    failures: 0,
    retry: { calls: 0 },
    bulkhead: { activeCount: 0, completedCount: 0 },
    rateLimiter: { grantedCount: 0 },
  });
});
