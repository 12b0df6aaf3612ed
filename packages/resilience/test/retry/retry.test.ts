import { AsyncLocalStorage } from 'node:async_hooks';
import { getEventListeners } from 'node:events';
import { expect, jest, test } from '@jest/globals';
import { InvalidOptionError, decorrelatedBackoff, seededRandom } from '@holdfast/foundation';
import {
  BulkheadFullError,
  RetryExhaustedError,
  type RetryOptions,
  createCircuitBreaker,
  createRetry,
  retry,
} from '@holdfast/resilience';
import { createFakeClock } from '@holdfast/foundation/testing';
import { failing, failureOf, reset } from '../failures.ts';

const certain = (): number => 0.5;
const seed = 20_261_122;

test('work that fails twice succeeds at the third attempt, after the delays of the schedule', async () => {
  const clock = createFakeClock();
  const startedMs: number[] = [];
  const work = failing(2);
  const result = retry(
    (_signal, attemptNumber) => {
      startedMs.push(clock.now(), attemptNumber);
      return work();
    },
    { initialDelayMs: 1_000, backoffMultiplier: 3, clock, random: certain },
  );
  expect(await clock.settle(result)).toBe('ok');
  expect(startedMs).toEqual([0, 1, 1_000, 2, 4_000, 3]);
});

test('when every attempt has failed the error lists them and has the last failure as its cause', async () => {
  const clock = createFakeClock();
  const failure = await failureOf(
    clock.settle(
      retry(failing(9), { name: 'portal', initialDelayMs: 100, clock, random: certain }),
    ),
  );
  expect(failure).toBeInstanceOf(RetryExhaustedError);
  expect(failure).toMatchObject({
    code: 'RESILIENCE_RETRY_EXHAUSTED',
    exhaustedBy: 'attempts',
    cause: reset,
    retryable: false,
    message: 'portal: 3 attempts failed and no attempt is left; the last failure is the cause',
    attempts: [
      { attemptNumber: 1, delayMs: 0, retryable: true, error: reset },
      { attemptNumber: 2, delayMs: 100, retryable: true, error: reset },
      { attemptNumber: 3, delayMs: 200, retryable: true, error: reset },
    ],
  });
});

test('an error that is not retryable reaches the caller unchanged', async () => {
  const denied = Object.assign(new Error('denied'), { status: 403 });
  const work = failing(9, denied);
  expect(await failureOf(retry(work, { clock: createFakeClock() }))).toBe(denied);
  expect(work).toHaveBeenCalledTimes(1);
});

test('retryableErrors takes kinds, or a function of the error and the attempt number', async () => {
  const clock = createFakeClock();
  const options = { clock, initialDelayMs: 1 };
  const timeoutsOnly = { ...options, retryableErrors: ['network_timeout'] } satisfies RetryOptions;
  expect(await failureOf(retry(failing(1), timeoutsOnly))).toBe(reset);

  const asked: unknown[] = [];
  const byFunction = retry(failing(9), {
    ...options,
    retryableErrors: (error, attemptNumber) => {
      asked.push([error, attemptNumber]);
      return attemptNumber < 2;
    },
  });
  expect(await failureOf(clock.settle(byFunction))).toMatchObject({
    exhaustedBy: 'not-retryable',
    cause: reset,
  });
  expect(asked).toEqual([
    [reset, 1],
    [reset, 2],
  ]);
});

test('a retryableErrors function that throws does not hide the failure', async () => {
  const warned = jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
  const failure = await failureOf(
    retry(failing(9), {
      clock: createFakeClock(),
      retryableErrors: () => {
        throw new Error('bug');
      },
    }),
  );
  expect(failure).toBe(reset);
  expect(warned).toHaveBeenCalledTimes(1);
  warned.mockRestore();
});

test('an abort during backoff rejects at once with the caller’s reason, and the work is not called again', async () => {
  const clock = createFakeClock();
  const controller = new AbortController();
  const work = failing(9);
  const result = retry(work, { initialDelayMs: 30_000, clock, signal: controller.signal });
  const settled = failureOf(result);
  await clock.advance(20);
  const reason = new Error('client left');
  controller.abort(reason);
  expect(await settled).toBe(reason);
  expect(clock.pendingTimers).toBe(0);
  await clock.advance(60_000);
  expect(work).toHaveBeenCalledTimes(1);
});

test('an abort during an attempt rejects at once, even if the work ignores its signal', async () => {
  const clock = createFakeClock();
  const controller = new AbortController();
  const work = jest.fn((_signal: AbortSignal) => new Promise<never>(() => undefined));
  const settled = failureOf(retry(work, { clock, signal: controller.signal }));
  controller.abort('left');
  expect(await settled).toBe('left');
  expect(work.mock.calls[0]?.[0].reason).toBe('left');
  expect(clock.pendingTimers).toBe(0);
});

test('a signal that is aborted already keeps the work from being called', async () => {
  const work = failing(0);
  const signal = AbortSignal.abort('too late');
  expect(await failureOf(retry(work, { signal }))).toBe('too late');
  expect(work).not.toHaveBeenCalled();
});

test('Retry-After is waited out when it is longer than the schedule, up to its limit', async () => {
  const clock = createFakeClock();
  const limited = Object.assign(new Error('slow down'), {
    status: 429,
    headers: new Headers({ 'retry-after': '20' }),
  });
  const run = async (maxRetryAfterMs: number): Promise<number> => {
    const begunMs = clock.now();
    await clock.settle(
      retry(failing(1, limited), {
        initialDelayMs: 1_000,
        maxRetryAfterMs,
        clock,
        random: () => 0,
      }),
    );
    return clock.now() - begunMs;
  };
  expect(await run(30_000)).toBe(20_000);
  expect(await run(5_000)).toBe(5_000);
  expect(await run(10)).toBe(900);
});

test('a Retry-After wait is spread upwards, so that callers do not return together', async () => {
  const clock = createFakeClock();
  const limited = Object.assign(new Error('slow down'), {
    status: 429,
    headers: new Headers({ 'retry-after': '20' }),
  });
  const options = { jitterFactor: 0.1, clock, random: () => 0.500_01 };
  await clock.settle(retry(failing(1, limited), options));
  expect(clock.now()).toBe(21_001);
});

test('the total time ends the running attempt, and names it among the attempts', async () => {
  const clock = createFakeClock();
  const signals: AbortSignal[] = [];
  const result = failureOf(
    clock.settle(
      retry(
        (signal, attemptNumber) => {
          signals.push(signal);
          if (attemptNumber === 1) throw reset;
          return new Promise<never>(() => undefined);
        },
        { initialDelayMs: 1_000, timeoutMs: 5_000, clock, random: certain },
      ),
    ),
  );
  expect(await result).toMatchObject({
    code: 'RESILIENCE_RETRY_EXHAUSTED',
    exhaustedBy: 'time',
    attempts: [
      { attemptNumber: 1, delayMs: 0, error: reset },
      {
        attemptNumber: 2,
        delayMs: 1_000,
        retryable: true,
        error: expect.objectContaining({ code: 'RESILIENCE_TIMEOUT' }),
      },
    ],
  });
  expect(clock.now()).toBe(5_000);
  expect(signals[1]?.aborted).toBe(true);
});

test('a delay that would end after the total time is not begun', async () => {
  const clock = createFakeClock();
  const failure = await failureOf(
    retry(failing(9), { initialDelayMs: 3_000, timeoutMs: 3_000, clock, random: certain }),
  );
  expect(failure).toMatchObject({ code: 'RESILIENCE_RETRY_EXHAUSTED', exhaustedBy: 'time' });
  expect(clock.now()).toBe(0);
});

test('an attempt that takes too long is ended and made again', async () => {
  const clock = createFakeClock();
  const signals: AbortSignal[] = [];
  const result = retry(
    (signal, attemptNumber) => {
      signals.push(signal);
      return attemptNumber === 1 ? new Promise<string>(() => undefined) : 'ok';
    },
    { attemptTimeoutMs: 2_000, initialDelayMs: 1_000, clock, random: certain },
  );
  expect(await clock.settle(result)).toBe('ok');
  expect(clock.now()).toBe(3_000);
  expect(signals.map(({ aborted }) => aborted)).toEqual([true, false]);
  expect(clock.pendingTimers).toBe(0);
});

test('a backoff of thirty days makes one further attempt in thirty days', async () => {
  const days = 86_400_000;
  const clock = createFakeClock();
  const work = failing(1);
  const result = retry(work, {
    initialDelayMs: 30 * days,
    maxDelayMs: 30 * days,
    timeoutMs: 90 * days,
    jitterFactor: 0,
    clock,
  });
  await clock.advance(30 * days - 1);
  expect(work).toHaveBeenCalledTimes(1);
  await clock.advance(1);
  expect(await result).toBe('ok');
});

test('the caller’s async context survives backoffs', async () => {
  const clock = createFakeClock();
  const context = new AsyncLocalStorage<string>();
  const seen: unknown[] = [];
  const policy = createRetry({ initialDelayMs: 10, clock, random: certain });
  const run = (trace: string): Promise<unknown> =>
    context.run(trace, () =>
      policy.execute((_signal, attemptNumber) => {
        seen.push(context.getStore());
        if (attemptNumber < 2) throw reset;
      }),
    );
  await clock.settle(Promise.all([run('a'), run('b')]));
  expect(seen).toEqual(['a', 'b', 'a', 'b']);
});

test('without options a retry makes three attempts, with a second and more between them', async () => {
  const clock = createFakeClock();
  const work = failing(100);
  await failureOf(clock.settle(retry(work, { clock, random: seededRandom(seed) })));
  expect(work).toHaveBeenCalledTimes(3);
  expect(clock.now()).toBeGreaterThan(2_000);
});

test('a hundred settled calls leave no listener on their signal', async () => {
  const clock = createFakeClock();
  const { signal } = new AbortController();
  const policy = createRetry({
    initialDelayMs: 10,
    maxAttempts: 2,
    attemptTimeoutMs: 50,
    clock,
    random: seededRandom(seed),
  });
  const calls = Array.from({ length: 100 }, (_, index) =>
    policy.execute(failing(index % 3), { signal }),
  );
  await clock.settle(Promise.allSettled(calls));
  expect(getEventListeners(signal, 'abort')).toHaveLength(0);
});

test('a policy emits its retries, and a throwing listener disturbs no call', async () => {
  const warned = jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
  const clock = createFakeClock();
  const policy = createRetry({ name: 'sync', initialDelayMs: 10, clock, random: certain });
  const heard: unknown[] = [];
  policy.on('retrying', () => {
    throw new Error('broken listener');
  });
  policy.on('retrying', ({ name, attemptNumber, nextDelayMs }) =>
    heard.push([name, attemptNumber, nextDelayMs]),
  );
  policy.on('exhausted', ({ error }) => heard.push(error.exhaustedBy));
  await failureOf(clock.settle(policy.execute(failing(9))));
  expect(heard).toEqual([['sync', 1, 10], ['sync', 2, 20], 'attempts']);
  expect(policy.getStats()).toEqual({
    calls: 1,
    attempts: 3,
    successes: 0,
    retrySuccesses: 0,
    exhausted: 1,
    budgetRefusals: 0,
  });
  warned.mockRestore();
});

test('a custom backoff replaces the exponential one', async () => {
  const clock = createFakeClock();
  const backoff = decorrelatedBackoff({ initialDelayMs: 50, maxDelayMs: 50 });
  await clock.settle(retry(failing(2), { backoff, clock, random: certain }));
  expect(clock.now()).toBe(100);
});

test.each<[Record<string, unknown>, string]>([
  [{ maxAttempts: 0 }, 'maxAttempts must be a whole number from 1 to 1000, but is 0'],
  [{ maxAttempts: Infinity }, 'maxAttempts must be'],
  [{ initialDelayMs: -1 }, 'initialDelayMs must be'],
  [{ initialDelayMs: 2_000, maxDelayMs: 1_000 }, 'initialDelayMs must be at most maxDelayMs, 1000'],
  [{ initialDelayMs: 500_000 }, 'initialDelayMs must be at most timeoutMs'],
  [{ backoffMultiplier: 0.5 }, 'backoffMultiplier must be'],
  [{ jitterFactor: Number.NaN }, 'jitterFactor must be'],
  [{ retryableErrors: 'network_error' }, 'retryableErrors must be a function or an array'],
  [{ retryableErrors: ['network_eror'] }, 'retryableErrors[0] must be one of'],
  [{ attemptTimeoutMs: 10, timeoutMs: 5 }, 'attemptTimeoutMs must be at most timeoutMs, 5'],
  [{ backoff: decorrelatedBackoff(), maxDelayMs: 5 }, 'maxDelayMs must be absent when backoff'],
  [{ retries: 3 }, 'retries must be one of the known options'],
])('%j is refused by name', (options, message) => {
  expect(() => createRetry(options)).toThrow(InvalidOptionError);
  expect(() => createRetry(options)).toThrow(message);
});

test('an attempt that succeeds after the caller’s abort does not count as a success', async () => {
  const clock = createFakeClock();
  const retrying = createRetry({ initialDelayMs: 10, clock, random: certain });
  const caller = new AbortController();
  const begun = Promise.withResolvers<void>();
  const answer = Promise.withResolvers<string>();
  const call = retrying.execute(
    async (_signal, attemptNumber) => {
      if (attemptNumber === 1) throw reset;
      begun.resolve();
      return answer.promise;
    },
    { signal: caller.signal },
  );
  await clock.settle(begun.promise);
  caller.abort(new Error('left'));
  await expect(call).rejects.toThrow('left');
  answer.resolve('late');
  await clock.advance(0);
  expect(retrying.getStats()).toMatchObject({ successes: 0 });
});

test('a refusal by a circuit inside ends the retry as a refusal, and is no attempt that ran', async () => {
  const clock = createFakeClock();
  const breaker = createCircuitBreaker({ failureThreshold: 2, clock });
  const work = failing(9);
  const execute = (wrap: (error: unknown) => unknown): Promise<unknown> =>
    clock.settle(
      retry(
        () =>
          breaker.execute(work).catch((error: unknown) => {
            throw wrap(error);
          }),
        { name: 'portal', maxAttempts: 5, clock },
      ),
    );
  const wrappers = [(error: unknown) => error, (cause: unknown) => new Error('outer', { cause })];
  for (const wrap of wrappers) {
    breaker.reset();
    work.mockClear();
    expect(await failureOf(execute(wrap))).toMatchObject({
      exhaustedBy: 'refused',
      message: expect.stringContaining('portal: 2 attempts failed and a further one was refused;'),
      attempts: [{ error: expect.anything() }, {}, {}],
    });
    expect(work).toHaveBeenCalledTimes(2);
  }
});

test('attempts that were all refused are told as refused', () => {
  const error = new BulkheadFullError('b', 'full');
  const attempts = [1, 2].map((attemptNumber) => ({
    attemptNumber,
    delayMs: 0,
    retryable: true,
    error,
  }));
  const { message } = new RetryExhaustedError('portal', attempts, 'attempts');
  expect(message).toContain('portal: 2 attempts were refused and no attempt is left');
});
