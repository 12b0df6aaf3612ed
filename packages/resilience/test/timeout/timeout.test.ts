import { AsyncLocalStorage } from 'node:async_hooks';
import { spawn } from 'node:child_process';
import { getEventListeners, once } from 'node:events';
import { expect, jest, test } from '@jest/globals';
import { TimeoutError, createTimeout, withTimeout } from '@holdfast/resilience';
import { createFakeClock } from '@holdfast/foundation/testing';
import { failureOf } from '../failures.ts';

const never = (): Promise<never> => new Promise(() => undefined);

test('work that takes too long is aborted, and its caller gets TimeoutError at once', async () => {
  const clock = createFakeClock();
  const timeout = createTimeout({ timeoutMs: 1_000, name: 'lookup', clock });
  const work = jest.fn((_signal: AbortSignal) => never());
  const settled = failureOf(timeout.execute(work));
  await clock.advance(999);
  expect(work.mock.calls[0]?.[0].aborted).toBe(false);
  await clock.advance(1);
  const error = await settled;
  expect(error).toBeInstanceOf(TimeoutError);
  expect(error).toMatchObject({
    code: 'RESILIENCE_TIMEOUT',
    timeoutMs: 1_000,
    retryable: true,
    outcome: 'unknown',
    message: expect.stringContaining('lookup: no answer within 1000 ms'),
  });
  expect(work.mock.calls[0]?.[0].reason).toBe(error);
});

test('work that ends in time settles the call as it settled', async () => {
  const timeout = createTimeout({ timeoutMs: 1_000, clock: createFakeClock() });
  const broken = new Error('broken');
  expect(await timeout.execute(async () => 'ok')).toBe('ok');
  expect(await timeout.execute(() => 'at once')).toBe('at once');
  expect(await failureOf(timeout.execute(() => Promise.reject(broken)))).toBe(broken);
  const throws = (): never => {
    throw broken;
  };
  expect(await failureOf(timeout.execute(throws))).toBe(broken);
});

test('onSettled is called when the work itself has settled, long after the timeout', async () => {
  const clock = createFakeClock();
  const timeout = createTimeout({ timeoutMs: 1_000, clock });
  const { promise, resolve } = Promise.withResolvers<string>();
  const onSettled = jest.fn();
  const settled = failureOf(timeout.execute(() => promise, { onSettled }));
  await clock.advance(1_000);
  expect(await settled).toBeInstanceOf(TimeoutError);
  expect(onSettled).not.toHaveBeenCalled();
  resolve('at last');
  await clock.advance(0);
  expect(onSettled).toHaveBeenCalledTimes(1);
});

test('onSettled is also called when the work was in time, failed, threw or was never started', async () => {
  const timeout = createTimeout({ timeoutMs: 1_000, clock: createFakeClock() });
  const onSettled = jest.fn();
  await timeout.execute(async () => 'ok', { onSettled });
  await failureOf(timeout.execute(() => Promise.reject(new Error('no')), { onSettled }));
  await failureOf(timeout.execute(never, { onSettled, signal: AbortSignal.abort() }));
  await failureOf(
    timeout.execute(
      () => {
        throw new Error('no');
      },
      { onSettled },
    ),
  );
  expect(onSettled).toHaveBeenCalledTimes(4);
});

test('the timeout of one call does not abort the signals of others', async () => {
  const clock = createFakeClock();
  const timeout = createTimeout({ timeoutMs: 1_000, clock });
  const slow = failureOf(timeout.execute(never));
  await clock.advance(500);
  const signals: AbortSignal[] = [];
  const { promise, resolve } = Promise.withResolvers<string>();
  const healthy = Array.from({ length: 9 }, () =>
    timeout.execute((signal) => {
      signals.push(signal);
      return promise;
    }),
  );
  await clock.advance(500);
  expect(await slow).toBeInstanceOf(TimeoutError);
  expect(signals.some(({ aborted }) => aborted)).toBe(false);
  resolve('ok');
  expect(await Promise.all(healthy)).toEqual(Array.from({ length: 9 }, () => 'ok'));
});

test('the caller’s abort reaches caller and work with the caller’s own reason', async () => {
  const clock = createFakeClock();
  const timeout = createTimeout({ timeoutMs: 1_000, clock });
  const controller = new AbortController();
  const work = jest.fn((_signal: AbortSignal) => never());
  const settled = failureOf(timeout.execute(work, { signal: controller.signal }));
  const reason = { why: 'the user left' };
  controller.abort(reason);
  expect(await settled).toBe(reason);
  expect(work.mock.calls[0]?.[0].reason).toBe(reason);
});

test('after success the signal never aborts, so that a body can still be read', async () => {
  const clock = createFakeClock();
  const controller = new AbortController();
  const timeout = createTimeout({ timeoutMs: 1_000, clock });
  const body = await timeout.execute(async (signal) => signal, { signal: controller.signal });
  await clock.advance(5_000);
  controller.abort();
  expect(body.aborted).toBe(false);
});

test('a deadline of thirty days expires after thirty days', async () => {
  const clock = createFakeClock();
  const timeoutMs = 30 * 86_400_000;
  const settled = failureOf(withTimeout(never, { timeoutMs, clock }));
  await clock.advance(timeoutMs - 1);
  expect(clock.pendingTimers).toBe(1);
  await clock.advance(1);
  expect(await settled).toBeInstanceOf(TimeoutError);
});

test('a deadline expires in the async context of its own call, whichever call armed the timer', async () => {
  const clock = createFakeClock();
  const timeout = createTimeout({ timeoutMs: 1_000, clock });
  const context = new AsyncLocalStorage<string>();
  const seen: unknown[] = [];
  const run = (trace: string): Promise<unknown> =>
    context.run(trace, () =>
      failureOf(
        timeout.execute((signal) => {
          signal.addEventListener('abort', () => seen.push([trace, context.getStore()]));
          return never();
        }),
      ),
    );
  const all = Promise.all([run('a'), run('b'), run('c')]);
  await clock.advance(1_000);
  await all;
  expect(seen).toEqual([
    ['a', 'a'],
    ['b', 'b'],
    ['c', 'c'],
  ]);
});

test('all calls share one timer, and none is left one timeout after the last call', async () => {
  const clock = createFakeClock();
  const timeout = createTimeout({ timeoutMs: 1_000, clock });
  for (let call = 0; call < 50; call += 1) await timeout.execute(async () => 'ok');
  expect(clock.pendingTimers).toBe(1);
  await clock.advance(1_000);
  expect(clock.pendingTimers).toBe(0);
});

test('withTimeout leaves no timer when the call has settled', async () => {
  const clock = createFakeClock();
  await withTimeout(async () => 'ok', { timeoutMs: 1_000, clock });
  expect(clock.pendingTimers).toBe(0);
});

test('a process with a settled call and a far deadline exits by itself', async () => {
  const source = `
    import { createTimeout, createCircuitBreaker, retry } from ${JSON.stringify(import.meta.resolve('../../src/index.ts'))};
    const timeout = createTimeout({ timeoutMs: 600_000 });
    await timeout.execute(async () => 'ok');
    await createCircuitBreaker().execute(async () => 'ok');
    await retry(async () => 'ok');
    void timeout.execute(() => new Promise(() => {}));
    console.log('done');
  `;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', source]);
  try {
    const [code] = await once(child, 'exit');
    expect(code).toBe(0);
  } finally {
    child.kill('SIGKILL');
  }
}, 30_000);

test('each deadline expires at its own time, whichever were removed before', async () => {
  const clock = createFakeClock();
  const timeout = createTimeout({ timeoutMs: 100, clock });
  const expired: number[] = [];
  const held = Array.from({ length: 10 }, () => Promise.withResolvers<string>());
  const calls: Promise<unknown>[] = [];
  for (const [index, { promise }] of held.entries()) {
    calls.push(timeout.execute(() => promise).catch(() => expired.push(index, clock.now())));
    await clock.advance(10);
  }
  for (const index of [1, 9, 4]) held[index]?.resolve('ok');
  await clock.settle(Promise.all(calls));
  expect(expired).toEqual([0, 100, 2, 120, 3, 130, 5, 150, 6, 160, 7, 170, 8, 180]);
});

test('a hundred settled calls leave no listener on their signal', async () => {
  const clock = createFakeClock();
  const timeout = createTimeout({ timeoutMs: 1_000, clock });
  const { signal } = new AbortController();
  const calls = Array.from({ length: 100 }, (_, index) =>
    timeout.execute(() => (index % 2 === 0 ? 'ok' : never()), { signal }).catch(() => 'late'),
  );
  await clock.advance(1_000);
  await Promise.all(calls);
  expect(getEventListeners(signal, 'abort')).toHaveLength(0);
});

test('timeoutMs must be given, whole, positive and finite', () => {
  for (const timeoutMs of [0, -1, 1.5, Number.NaN, Infinity]) {
    expect(() => createTimeout({ timeoutMs })).toThrow('createTimeout: timeoutMs must be');
  }
});
