import { AsyncLocalStorage } from 'node:async_hooks';
import { expect, jest, test } from '@jest/globals';
import { InvalidOptionError } from '@holdfast/foundation';
import {
  type CircuitBreakerOptions,
  CircuitOpenError,
  createCircuitBreaker,
  retry,
} from '@holdfast/resilience';
import { fail, open, refused, succeed } from './circuit-fixture.ts';

test('the fifth failure in a row opens the circuit, and a success in between begins the count anew', async () => {
  const { breaker } = open();
  await fail(breaker, 4);
  await succeed(breaker);
  await fail(breaker, 4);
  expect(breaker.getStats()).toMatchObject({ state: 'closed', consecutiveFailures: 4 });
  await fail(breaker);
  expect(breaker.state).toBe('open');
});

test('an open circuit refuses with what opened it and when to come back, and does not call', async () => {
  const { breaker, clock } = open({ failureThreshold: 1, openDurationMs: 60_000 });
  await fail(breaker);
  await clock.advance(20_000);
  const work = jest.fn(async () => 'ok');
  await expect(breaker.execute(work)).rejects.toMatchObject({
    code: 'RESILIENCE_CIRCUIT_OPEN',
    circuit: 'portal',
    state: 'open',
    outcome: 'not-applied',
    retryable: true,
    retryAfterMs: 40_000,
    cause: refused,
  });
  expect(work).not.toHaveBeenCalled();
  expect(await breaker.tryExecute(work)).toEqual({
    kind: 'refused',
    policy: 'circuit-breaker',
    retryAfterMs: 40_000,
  });
});

test('a refusal is an Error of its own class, and making one leaves the stacks of others alone', async () => {
  const { breaker } = open({ failureThreshold: 1 });
  await fail(breaker);
  const refusal = await breaker.execute(async () => 'ok').catch((error: unknown) => error);
  expect(refusal).toBeInstanceOf(CircuitOpenError);
  expect(refusal).toBeInstanceOf(Error);
  expect(new Error('another').stack?.split('\n').length).toBeGreaterThan(1);
});

test('the open duration can be taken from the failure itself', async () => {
  const { breaker } = open({
    failureThreshold: 1,
    nextOpenDurationMs: ({ error }) => (error === refused ? 7_000 : undefined),
  });
  await fail(breaker);
  expect(breaker.getStats().retryAfterMs).toBe(7_000);
});

test('a nextOpenDurationMs that throws or answers nonsense leaves the configured duration', async () => {
  for (const nextOpenDurationMs of [
    () => Number.NaN,
    () => {
      throw new Error('bug');
    },
  ]) {
    const warned = jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
    const { breaker } = open({ failureThreshold: 1, openDurationMs: 9_000, nextOpenDurationMs });
    await fail(breaker);
    expect(breaker.getStats().retryAfterMs).toBe(9_000);
    warned.mockRestore();
  }
});

test('a client error shows that the dependency is alive; classifyResult may see it otherwise', async () => {
  const notFound = Object.assign(new Error('not found'), { status: 404 });
  const { breaker } = open({ failureThreshold: 2 });
  await fail(breaker, 1);
  await fail(breaker, 5, notFound);
  expect(breaker.getStats()).toMatchObject({ state: 'closed', consecutiveFailures: 0 });

  const strict = open({ failureThreshold: 2, classifyResult: () => 'failure' });
  await fail(strict.breaker, 2, notFound);
  expect(strict.breaker.state).toBe('open');
});

test('a conflict shows that the dependency is alive, although it is retried', async () => {
  const conflict = Object.assign(new Error('serialize'), { code: '40001', severity: 'ERROR' });
  const { breaker } = open({ failureThreshold: 2 });
  await fail(breaker, 5, conflict);
  expect(breaker.getStats()).toMatchObject({ state: 'closed', consecutiveFailures: 0 });
});

test('a classifyResult that throws leaves the error a failure, and the caller with the error of the work', async () => {
  const warned = jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
  const { breaker } = open({
    failureThreshold: 1,
    classifyResult: () => {
      throw new Error('bug');
    },
  });
  await expect(breaker.execute(() => Promise.reject(refused))).rejects.toBe(refused);
  expect(breaker.state).toBe('open');
  warned.mockRestore();
});

test('the work runs in the caller’s async context', async () => {
  const { breaker } = open();
  const context = new AsyncLocalStorage<string>();
  const seen = await context.run('trace-1', () => breaker.execute(() => context.getStore()));
  expect(seen).toBe('trace-1');
});

test('a circuit without options opens after five failures and probes once after a minute', async () => {
  const { breaker, clock } = open();
  await fail(breaker, 5);
  expect(breaker.getStats()).toMatchObject({ state: 'open', retryAfterMs: 60_000 });
  await clock.advance(60_000);
  expect(breaker.tryAcquire()).toMatchObject({ granted: true });
  expect(breaker.tryAcquire()).toEqual({ granted: false, state: 'half-open', retryAfterMs: 1_000 });
});

test('a circuit has no timer', async () => {
  const { breaker, clock } = open({ failureThreshold: 1, windowMs: 10_000 });
  await fail(breaker, 3);
  breaker.forceOpen();
  expect(clock.pendingTimers).toBe(0);
});

test('a permit counts once, however often it is settled', async () => {
  const { breaker, clock } = open({ failureThreshold: 1, openDurationMs: 1, halfOpenMaxCalls: 2 });
  await fail(breaker);
  await clock.advance(1);
  const permit = breaker.tryAcquire();
  if (!permit.granted) throw new Error('refused');
  permit.success();
  permit.success();
  permit.failure(refused);
  permit.release();
  expect(breaker.getStats()).toMatchObject({
    state: 'half-open',
    successCount: 1,
    neutralCount: 0,
  });
});

test.each<[CircuitBreakerOptions | Record<string, unknown>, string]>([
  [{ failureThreshold: 0 }, 'failureThreshold must be a whole number from 1'],
  [{ failureThreshold: Number.NaN }, 'failureThreshold must be'],
  [{ failureThreshold: '5' }, 'failureThreshold must be'],
  [{ openDurationMs: -1 }, 'openDurationMs must be'],
  [{ openDurationMs: 5_000, maxOpenDurationMs: 1_000 }, 'openDurationMs must be at most'],
  [{ halfOpenMaxCalls: 1.5 }, 'halfOpenMaxCalls must be'],
  [{ windowCalls: 10, windowMs: 10 }, 'windowMs must be absent when windowCalls is given'],
  [{ failureRateThreshold: 0.5 }, 'failureRateThreshold must be absent without'],
  [{ minimumCalls: 5 }, 'minimumCalls must be absent without'],
  [{ slowCallMs: 5 }, 'slowCallMs must be absent without'],
  [{ windowCalls: 5, slowCallRateThreshold: 0.1 }, 'slowCallRateThreshold must be absent without'],
  [{ windowCalls: 5, minimumCalls: 6 }, 'minimumCalls must be at most windowCalls, 5'],
  [{ failureTreshold: 5 }, 'failureTreshold must be one of the known options'],
])('%j is refused by name', (options, message) => {
  expect(() => createCircuitBreaker(options)).toThrow(InvalidOptionError);
  expect(() => createCircuitBreaker(options)).toThrow(message);
});

test('of a retry that has given up, the last failure tells whether the dependency failed', async () => {
  const { breaker } = open({ failureThreshold: 1 });
  const attempts = { maxAttempts: 1, retryableErrors: () => true };
  const inner = new CircuitOpenError({
    name: 'inner',
    key: undefined,
    state: 'open',
    retryAfterMs: 5,
    cause: undefined,
  });
  await breaker.tryExecute(() => retry(() => Promise.reject(inner), attempts));
  expect(breaker.getStats()).toMatchObject({ state: 'closed', neutralCount: 1 });
  await breaker.tryExecute(() => retry(() => Promise.reject(refused), attempts));
  expect(breaker.state).toBe('open');
});

test('the work gets its caller’s signal', async () => {
  const { breaker } = open();
  const { signal } = new AbortController();
  const work = jest.fn(async () => 'ok');
  await breaker.execute(work, { signal });
  await breaker.execute(work);
  await breaker.tryExecute(work, { signal });
  await breaker.tryExecute(work);
  expect(work.mock.calls).toEqual([[signal], [], [signal], []]);
});
