import { expect, jest, test } from '@jest/globals';
import { HoldfastError, type Outcome, sleep } from '@holdfast/foundation';
import { type FakeClock, createFakeClock } from '@holdfast/foundation/testing';
import {
  type ResilienceStack,
  type ResilienceStackOptions,
  RetryExhaustedError,
  classifyError,
  createBulkhead,
  createFallback,
  createHedge,
  createResilienceStack,
  createRetry,
} from '@holdfast/resilience';
import { failureOf } from '../failures.ts';

class CallError extends HoldfastError {
  readonly code = 'TEST_CALL';

  constructor(outcome: Outcome, retryable = true) {
    super(`the call is ${outcome}`, { outcome, retryable });
  }
}

const lost = new CallError('unknown');
const applied = new CallError('applied', true);
const notSent = new CallError('not-applied');
const refusedByServer = new CallError('not-applied', false);
const foreign = Object.assign(new Error('read'), { code: 'ECONNRESET' });
/** Only the outcome of an error of Holdfast is believed. */
const claiming = Object.assign(new Error('read'), { outcome: 'not-applied' });

const quick = { initialDelayMs: 10, maxDelayMs: 10, jitterFactor: 0, maxRetryAfterMs: 0 };

function open(options: ResilienceStackOptions): { clock: FakeClock; stack: ResilienceStack } {
  const clock = createFakeClock();
  return { clock, stack: createResilienceStack({ name: 'portal', ...options, clock }) };
}

/** Work that fails with each of the errors in turn, and then succeeds. */
function failingWith(...errors: readonly unknown[]): jest.Mock<() => Promise<string>> {
  let attempt = 0;
  return jest.fn(async () => {
    attempt += 1;
    if (attempt <= errors.length) throw errors[attempt - 1];
    return 'ok';
  });
}

/** The work takes effect, and its answer does not come in time. */
function slow(clock: FakeClock, ms: number): () => Promise<string> {
  return async () => {
    await sleep(clock, ms);
    return 'too late';
  };
}

const errorsOf = (error: unknown): unknown[] =>
  error instanceof RetryExhaustedError ? error.attempts.map((attempt) => attempt.error) : [];

const policies: Readonly<
  Record<string, (clock: FakeClock, work: () => Promise<string>) => Promise<string>>
> = {
  'a retry': (clock, work) => createRetry({ ...quick, clock }).execute(work),
  'a stack': (clock, work) => createResilienceStack({ retry: quick, clock }).execute(work),
};

test.each(Object.keys(policies))(
  '%s reports the worst outcome of all attempts, in whatever order they failed',
  async (name) => {
    for (const [errors, outcome] of [
      [[lost, notSent, notSent], 'unknown'],
      [[notSent, lost, notSent], 'unknown'],
      [[notSent, notSent, notSent], 'not-applied'],
      [[applied, lost, notSent], 'applied'],
      [[foreign, notSent, notSent], 'unknown'],
      [[claiming, notSent, notSent], 'unknown'],
      [[foreign, foreign, foreign], 'unknown'],
      [[lost, refusedByServer], 'unknown'],
      [[applied, refusedByServer], 'applied'],
      [[notSent, refusedByServer], 'not-applied'],
      [[foreign, refusedByServer], 'unknown'],
    ] as const) {
      const clock = createFakeClock();
      const work = failingWith(...errors);
      const failure = await clock.settle(
        failureOf(policies[name]?.(clock, work) ?? Promise.resolve()),
      );
      expect(failure).toMatchObject({ code: 'RESILIENCE_RETRY_EXHAUSTED', outcome });
      expect(errorsOf(failure)).toEqual(errors);
      expect(failure).toMatchObject({ cause: errors.at(-1), retryable: false });
    }
  },
);

test.each(Object.keys(policies))(
  '%s throws the error of a first attempt that is not retryable itself, and tells which limit ended another',
  async (name) => {
    const clock = createFakeClock();
    const run = (...errors: unknown[]): Promise<unknown> =>
      clock.settle(failureOf(policies[name]?.(clock, failingWith(...errors)) ?? Promise.resolve()));
    expect(await run(refusedByServer)).toBe(refusedByServer);
    expect(await run(lost, refusedByServer)).toMatchObject({
      exhaustedBy: 'not-retryable',
      message: expect.stringContaining('an earlier attempt may have taken effect'),
      attempts: [
        { attemptNumber: 1, retryable: true },
        { attemptNumber: 2, retryable: false, delayMs: 10 },
      ],
    });
    expect(classifyError(await run(lost, refusedByServer))).toBe('exhausted');
  },
);

test('a timeout, and then a refusal by the circuit that it opened: the call was started, and its outcome is unknown', async () => {
  for (const openDurationMs of [60_000, 5]) {
    const { clock, stack } = open({
      timeoutMs: 60,
      circuitBreaker: { failureThreshold: 1, openDurationMs: 60_000 },
      retry: { ...quick, maxDelayMs: openDurationMs, initialDelayMs: 5 },
    });
    const outcome = await clock.settle(stack.tryExecute(slow(clock, 200)));
    expect(outcome).toMatchObject({
      kind: 'failure',
      error: {
        outcome: 'unknown',
        exhaustedBy: 'refused',
        retryAfterMs: 59_995,
        cause: { code: 'RESILIENCE_CIRCUIT_OPEN' },
        attempts: [{ error: { code: 'RESILIENCE_TIMEOUT' } }, { retryable: false }],
      },
    });
    expect(stack.getStats()).toMatchObject({ failures: 1, refusals: 0, timeouts: 1 });
    await clock.advance(1_000);
  }
});

const fullBulkhead = { maxConcurrent: 1, maxQueueSize: 0 };

/** Settles like the call, which takes less than 200 ms; no later timer fires. */
async function soon<T>(clock: FakeClock, call: Promise<T>): Promise<T> {
  for (let step = 0; step < 20; step += 1) await clock.advance(10);
  return call;
}

test('the slot that the first attempt still holds refuses the second: the outcome is unknown, by every way to call', async () => {
  for (const retryableErrors of [undefined, ['network_timeout', 'refused'] as const]) {
    const { clock, stack } = open({
      timeoutMs: 60,
      bulkhead: fullBulkhead,
      retry: retryableErrors === undefined ? quick : { ...quick, retryableErrors },
    });
    const unknown = { outcome: 'unknown', cause: { code: 'RESILIENCE_BULKHEAD_FULL' } };
    const tried = await soon(clock, stack.tryExecute(slow(clock, 1_000)));
    expect(tried).toMatchObject({ kind: 'failure', error: unknown });
    await clock.advance(1_000);
    expect(await soon(clock, failureOf(stack.execute(slow(clock, 1_000))))).toMatchObject(unknown);
    await clock.advance(1_000);
    const kept = await soon(clock, stack.tryExecute(slow(clock, 1_000), { fallbackValue: 'none' }));
    expect(kept).toMatchObject({ kind: 'substitute', error: unknown });
    await clock.advance(1_000);
    const shouldFallBack = stack.execute(slow(clock, 1_000), {
      fallback: (error) => Reflect.get(Object(error), 'outcome'),
    });
    expect(await soon(clock, shouldFallBack)).toBe('unknown');
  }
});

test.each(['full', 'timeout'])(
  'a second attempt is refused in the queue (%s): the first one counts',
  async (kind) => {
    const { clock, stack } = open({
      bulkhead: { maxConcurrent: 1, maxQueueSize: kind === 'full' ? 0 : 1, queueTimeoutMs: 50 },
      retry: quick,
    });
    const call = stack.tryExecute(failingWith(lost));
    await clock.advance(0);
    const other = stack.execute(slow(clock, 500));
    const outcome = await clock.settle(call);
    expect(outcome).toMatchObject({
      kind: 'failure',
      error: { outcome: 'unknown', attempts: { length: 2 } },
    });
    await clock.settle(other);
  },
);

test('the circuit opens for the failures of others while the second attempt is queued', async () => {
  const { clock, stack } = open({
    circuitBreaker: { failureThreshold: 3, openDurationMs: 60_000 },
    bulkhead: { maxConcurrent: 1, maxQueueSize: 5 },
    retry: { ...quick, maxAttempts: 2 },
  });
  const call = stack.tryExecute(failingWith(lost));
  await clock.advance(0);
  const held = Promise.withResolvers<string>();
  const holding = stack.execute(() => held.promise);
  await clock.advance(10);
  stack.circuitBreaker()?.forceOpen();
  held.resolve('ok');
  await holding;
  expect(await clock.settle(call)).toMatchObject({
    kind: 'failure',
    error: { outcome: 'unknown', cause: { code: 'RESILIENCE_CIRCUIT_OPEN' } },
  });
});

test('a call of which no attempt was started stays refused, also after several refusals', async () => {
  for (const maxAttempts of [1, 3]) {
    const { clock, stack } = open({
      bulkhead: fullBulkhead,
      retry: { ...quick, maxAttempts, retryableErrors: ['refused'] },
    });
    const holding = stack.execute(slow(clock, 10_000));
    const work = jest.fn(async () => 'ok');
    const outcome = stack.tryExecute(work);
    await clock.advance(100);
    expect(await outcome).toMatchObject({
      kind: 'refused',
      policy: 'bulkhead',
      error: {
        code: 'RESILIENCE_RETRY_EXHAUSTED',
        outcome: 'not-applied',
        attempts: { length: maxAttempts },
      },
    });
    expect(work).not.toHaveBeenCalled();
    expect(stack.getStats()).toMatchObject({ refusals: 1, failures: 0 });
    await clock.settle(holding);
  }
});

test('a refused attempt before one that failed does not hide it, and a success hides nothing', async () => {
  const { clock, stack } = open({
    bulkhead: fullBulkhead,
    retry: { ...quick, retryableErrors: () => true, maxAttempts: 2 },
  });
  const holding = stack.execute(slow(clock, 5));
  const outcome = stack.tryExecute(failingWith(lost));
  expect(await clock.settle(outcome)).toMatchObject({
    kind: 'failure',
    error: { outcome: 'unknown', cause: lost },
  });
  await holding;
  expect(await clock.settle(stack.execute(failingWith(lost)))).toBe('ok');
});

test('an inner policy that refuses the second attempt of a retry does not hide the first', async () => {
  const clock = createFakeClock();
  const bulkhead = createBulkhead({ clock });
  const work = failingWith(lost);
  const call = failureOf(createRetry({ ...quick, clock }).execute(() => bulkhead.execute(work)));
  await clock.advance(0);
  await bulkhead.close();
  expect(await clock.settle(call)).toMatchObject({
    outcome: 'unknown',
    cause: { code: 'RESILIENCE_BULKHEAD_CLOSED' },
    attempts: [{ error: lost }, {}],
  });
});

/** A hedge of two attempts; each fails with its error after its time. */
function hedged(
  clock: FakeClock,
  ...failures: readonly (readonly [afterMs: number, error: unknown])[]
): Promise<unknown> {
  const hedge = createHedge({
    delayMs: 10,
    maxHedges: failures.length - 1 || 1,
    budget: { deposit: () => undefined, tryWithdraw: () => failures.length > 1 },
    clock,
  });
  return clock.settle(
    failureOf(
      hedge.execute(async (_, attemptNumber) => {
        const [afterMs, error] = failures[attemptNumber - 1] ?? [0, undefined];
        await sleep(clock, afterMs);
        throw error;
      }),
    ),
  );
}

test('a hedge whose attempts all fail reports the worst outcome, and every failure', async () => {
  for (const [first, second, outcome, cause] of [
    [notSent, lost, 'unknown', lost],
    [lost, notSent, 'unknown', lost],
    [notSent, foreign, 'unknown', foreign],
    [lost, applied, 'applied', applied],
    [notSent, refusedByServer, 'not-applied', notSent],
  ] as const) {
    for (const firstMs of [20, 200]) {
      const failure = await hedged(createFakeClock(), [firstMs, first], [50, second]);
      expect(failure).toMatchObject({
        code: 'RESILIENCE_HEDGE_FAILED',
        outcome,
        cause,
        retryable: second !== refusedByServer,
        attempts: [
          { attemptNumber: 1, error: first },
          { attemptNumber: 2, error: second },
        ],
      });
    }
  }
});

test('a hedge with one attempt rejects with its own failure, and the kind of failed attempts is that of the cause', async () => {
  expect(await hedged(createFakeClock(), [20, lost])).toBe(lost);
  expect(classifyError(await hedged(createFakeClock(), [20, foreign], [50, notSent]))).toBe(
    'network_error',
  );
  const full = await failureOf(
    createBulkhead(fullBulkhead).execute(async () => {
      throw notSent;
    }),
  );
  expect(full).toBe(notSent);
});

test('a hedge whose attempts were all refused is refused', async () => {
  const clock = createFakeClock();
  const bulkhead = createBulkhead({ ...fullBulkhead, clock });
  const release = bulkhead.tryAcquire();
  const refusal = await failureOf(bulkhead.execute(() => 1));
  const failure = await hedged(clock, [20, refusal], [50, refusal]);
  expect(failure).toBe(refusal);
  release?.();
});

test('a retry around a hedge sees its worst outcome', async () => {
  const clock = createFakeClock();
  const failure = await hedged(clock, [20, notSent], [50, lost]);
  const call = createRetry({ ...quick, maxAttempts: 2, clock }).execute(
    failingWith(failure, notSent),
  );
  expect(await clock.settle(failureOf(call))).toMatchObject({ outcome: 'unknown' });
});

test('the fallback’s own failure does not hide that the work may have taken effect', async () => {
  const clock = createFakeClock();
  const fallbacks = {
    stack: (error: unknown, own: unknown) =>
      createResilienceStack({ clock }).execute(failingWith(error), { fallback: rejectWith(own) }),
    fallback: (error: unknown, own: unknown) =>
      createFallback({ clock }).execute(failingWith(error), { fallback: rejectWith(own) }),
  };
  const mapped = new Error('my own');
  for (const run of Object.values(fallbacks)) {
    expect(await failureOf(run(lost, notSent))).toMatchObject({
      code: 'RESILIENCE_FALLBACK_THREW',
      outcome: 'unknown',
      cause: lost,
      fallbackError: notSent,
    });
    // It hides nothing: the error itself, one that claims nothing, and one that claims no less.
    expect(await failureOf(run(lost, lost))).toBe(lost);
    expect(await failureOf(run(lost, mapped))).toBe(mapped);
    expect(await failureOf(run(notSent, refusedByServer))).toBe(refusedByServer);
  }
});

function rejectWith(error: unknown): () => Promise<never> {
  return async () => {
    throw error;
  };
}

test('tryExecute: a refused call whose fallback fails stays refused, and an abort meanwhile is an abort', async () => {
  const clock = createFakeClock();
  const stack = createResilienceStack({ circuitBreaker: {}, clock });
  stack.circuitBreaker()?.isolate();
  const work = jest.fn(async () => 'ok');
  expect(await stack.tryExecute(work, { fallback: rejectWith(notSent) })).toMatchObject({
    kind: 'refused',
    policy: 'circuit-breaker',
    error: notSent,
  });
  const controller = new AbortController();
  const aborted = stack.tryExecute(work, {
    fallback: () => new Promise<never>(() => undefined),
    signal: controller.signal,
  });
  await clock.advance(0);
  controller.abort('given up');
  expect(await aborted).toEqual({ kind: 'aborted', reason: 'given up' });
  expect(work).not.toHaveBeenCalled();
});
