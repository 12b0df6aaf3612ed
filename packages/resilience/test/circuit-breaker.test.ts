import { AsyncLocalStorage } from 'node:async_hooks';
import { expect, jest, test } from '@jest/globals';
import {
  type CircuitBreaker,
  type CircuitBreakerOptions,
  type CircuitStateChange,
  CircuitOpenError,
  InvalidOptionError,
  createBulkhead,
  createCircuitBreaker,
} from '@holdfast/resilience';
import { type FakeClock, createFakeClock } from '@holdfast/resilience/testing';

const refused = Object.assign(new Error('connect'), { code: 'ECONNREFUSED' });

function open(options: CircuitBreakerOptions = {}): { clock: FakeClock; breaker: CircuitBreaker } {
  const clock = createFakeClock();
  return { clock, breaker: createCircuitBreaker({ name: 'portal', ...options, clock }) };
}

async function fail(breaker: CircuitBreaker, times = 1, error: unknown = refused): Promise<void> {
  for (let call = 0; call < times; call += 1) {
    await breaker.tryExecute(async () => {
      throw error;
    });
  }
}

const succeed = (breaker: CircuitBreaker): Promise<unknown> => breaker.tryExecute(async () => 'ok');

/** Work that settles when the test says so. */
function held<T>(): {
  work: () => Promise<T>;
  resolve: (value: T) => void;
  reject: (error: unknown) => void;
} {
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  return { work: () => promise, resolve, reject };
}

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
    code: 'CIRCUIT_OPEN',
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
    by: 'circuit-breaker',
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

test('after its time an open circuit lets one probe through, and its success closes it', async () => {
  const { breaker, clock } = open({ failureThreshold: 1, openDurationMs: 1_000 });
  await fail(breaker);
  await clock.advance(999);
  expect((await breaker.tryExecute(async () => 'ok')).kind).toBe('refused');
  await clock.advance(1);
  expect(await breaker.execute(async () => 'ok')).toBe('ok');
  expect(breaker.getStats()).toMatchObject({ state: 'closed', consecutiveFailures: 0 });
});

test('a failed probe opens the circuit for longer each time, up to the longest', async () => {
  const { breaker, clock } = open({
    failureThreshold: 1,
    openDurationMs: 1_000,
    openDurationMultiplier: 2,
    maxOpenDurationMs: 3_000,
  });
  await fail(breaker);
  for (const durationMs of [1_000, 2_000, 3_000, 3_000]) {
    expect(breaker.getStats().retryAfterMs).toBe(durationMs);
    await clock.advance(durationMs);
    await fail(breaker);
  }
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

test('H2: a crowd at a half-open circuit is refused at once, all but the permitted probes', async () => {
  const { breaker, clock } = open({
    failureThreshold: 1,
    openDurationMs: 1_000,
    halfOpenMaxCalls: 3,
  });
  await fail(breaker);
  await clock.advance(1_000);
  const probe = held<string>();
  const started = jest.fn(probe.work);
  const crowd = Array.from({ length: 200 }, () => breaker.tryExecute(started));
  expect(started).toHaveBeenCalledTimes(3);
  const early = await Promise.race([crowd[199], Promise.resolve().then(() => 'waits')]);
  expect(early).not.toBe('waits');
  probe.resolve('ok');
  const outcomes = await Promise.all(crowd);
  expect(outcomes.filter(({ kind }) => kind === 'refused')).toHaveLength(197);
  expect(started).toHaveBeenCalledTimes(3);
  expect(breaker.state).toBe('closed');
});

test('H3: nobody waits behind a probe, so there is no wait that an abort could fail to end', async () => {
  const { breaker, clock } = open({ failureThreshold: 1, openDurationMs: 1_000 });
  await fail(breaker);
  await clock.advance(1_000);
  const probe = held<string>();
  const probing = breaker.execute(probe.work);
  const controller = new AbortController();
  const second = breaker.execute((signal) => signal.aborted, { signal: controller.signal });
  await expect(second).rejects.toMatchObject({ code: 'CIRCUIT_OPEN', state: 'half-open' });
  probe.resolve('ok');
  expect(await probing).toBe('ok');
  controller.abort(new Error('left'));
  const third = breaker.execute(() => 'called', { signal: controller.signal });
  await expect(third).rejects.toThrow('left');
});

test('H4: a probe that never settles counts as failed after its time, and another is let through', async () => {
  const { breaker, clock } = open({
    failureThreshold: 1,
    openDurationMs: 1_000,
    probeTimeoutMs: 5_000,
  });
  await fail(breaker);
  await clock.advance(1_000);
  const lost = held<string>();
  void breaker.tryExecute(lost.work);
  await clock.advance(4_999);
  expect((await breaker.tryExecute(async () => 'ok')).kind).toBe('refused');
  await clock.advance(1);
  expect((await breaker.tryExecute(async () => 'ok')).kind).toBe('refused');
  expect(breaker.state).toBe('open');
  await clock.advance(1_000);
  expect(await breaker.execute(async () => 'ok')).toBe('ok');
  expect(breaker.state).toBe('closed');
  lost.reject(refused);
  await clock.advance(0);
  expect(breaker.getStats()).toMatchObject({
    state: 'closed',
    consecutiveFailures: 0,
    lateCount: 1,
  });
});

test('H4: lost probes that do not decide by themselves leave the rest of the places, and count only once', async () => {
  const { breaker, clock } = open({
    windowCalls: 10,
    minimumCalls: 1,
    openDurationMs: 1_000,
    halfOpenMaxCalls: 4,
    failureRateThreshold: 0.75,
    probeTimeoutMs: 5_000,
  });
  await fail(breaker);
  await clock.advance(1_000);
  const lost = held<string>();
  const losing = breaker.tryExecute(lost.work);
  await clock.advance(5_000);
  await succeed(breaker);
  lost.resolve('too late to count');
  await losing;
  await succeed(breaker);
  expect(breaker.getStats()).toMatchObject({ state: 'half-open', lateCount: 1 });
  await succeed(breaker);
  expect(breaker.state).toBe('closed');
});

test('H5: a result that comes late moves nothing, whether it is a success or a failure', async () => {
  const { breaker, clock } = open({ failureThreshold: 2, openDurationMs: 1_000 });
  const [early, late] = [held<string>(), held<string>()];
  const calls = [breaker.tryExecute(early.work), breaker.tryExecute(late.work)];
  await fail(breaker, 2);
  await clock.advance(1_000);
  const probe = held<string>();
  const probing = breaker.tryExecute(probe.work);
  expect(breaker.state).toBe('half-open');
  early.resolve('stale success');
  await calls[0];
  expect(breaker.state).toBe('half-open');
  late.reject(refused);
  await calls[1];
  expect(breaker.state).toBe('half-open');
  probe.resolve('ok');
  await probing;
  expect(breaker.getStats()).toMatchObject({ state: 'closed', lateCount: 2 });
});

test('H6: an aborted or refused probe says nothing: the circuit stays half-open and takes another', async () => {
  const { breaker, clock } = open({ failureThreshold: 1, openDurationMs: 1_000 });
  await fail(breaker);
  await clock.advance(1_000);
  const controller = new AbortController();
  const probe = held<string>();
  const probing = breaker.tryExecute(probe.work, { signal: controller.signal });
  controller.abort('client left');
  probe.reject(refused);
  expect(await probing).toEqual({ kind: 'aborted', reason: 'client left' });
  expect(breaker.state).toBe('half-open');

  const bulkhead = createBulkhead({ maxConcurrent: 1, maxQueueSize: 0 });
  const release = bulkhead.tryAcquire();
  await breaker.tryExecute(() => bulkhead.execute(async () => 'ok'));
  release?.();
  expect(breaker.getStats()).toMatchObject({ state: 'half-open', neutralCount: 2 });

  await succeed(breaker);
  expect(breaker.state).toBe('closed');
});

test('a client error shows that the dependency is alive; judge may see it otherwise', async () => {
  const notFound = Object.assign(new Error('not found'), { status: 404 });
  const { breaker } = open({ failureThreshold: 2 });
  await fail(breaker, 1);
  await fail(breaker, 5, notFound);
  expect(breaker.getStats()).toMatchObject({ state: 'closed', consecutiveFailures: 0 });

  const strict = open({ failureThreshold: 2, judge: () => 'failure' });
  await fail(strict.breaker, 2, notFound);
  expect(strict.breaker.state).toBe('open');
});

test('a judge that throws leaves the error a failure, and the caller with the error of the work', async () => {
  const warned = jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
  const { breaker } = open({
    failureThreshold: 1,
    judge: () => {
      throw new Error('bug');
    },
  });
  await expect(breaker.execute(() => Promise.reject(refused))).rejects.toBe(refused);
  expect(breaker.state).toBe('open');
  warned.mockRestore();
});

test('H7: what a time window saw before an idle hour is forgotten', async () => {
  const { breaker, clock } = open({ windowMs: 10_000, minimumCalls: 10 });
  await fail(breaker, 9);
  await clock.advance(3_600_000);
  await fail(breaker);
  expect(breaker.getStats()).toMatchObject({ state: 'closed', window: { calls: 1, failures: 1 } });
});

test('a time window forgets bucket by bucket', async () => {
  const { breaker, clock } = open({ windowMs: 10_000, minimumCalls: 100 });
  for (let second = 0; second < 15; second += 1) {
    await fail(breaker);
    await clock.advance(1_000);
  }
  expect(breaker.getStats().window.calls).toBe(9);
  await clock.advance(4_000);
  expect(breaker.getStats().window.calls).toBe(5);
  await clock.advance(5_000);
  expect(breaker.getStats().window).toEqual({ calls: 0, failures: 0, slowCalls: 0 });
});

test('a time window opens at its share of failures, and not below the minimum of calls', async () => {
  const { breaker } = open({ windowMs: 10_000, minimumCalls: 10, failureRateThreshold: 0.5 });
  for (let call = 0; call < 5; call += 1) await succeed(breaker);
  await fail(breaker, 4);
  expect(breaker.state).toBe('closed');
  await fail(breaker);
  expect(breaker.state).toBe('open');
});

test('a count window judges the last calls only', async () => {
  const { breaker } = open({ windowCalls: 4, minimumCalls: 4, failureRateThreshold: 0.75 });
  await fail(breaker, 2);
  for (let call = 0; call < 3; call += 1) await succeed(breaker);
  expect(breaker.getStats().window).toEqual({ calls: 4, failures: 1, slowCalls: 0 });
  await fail(breaker, 2);
  expect(breaker.state).toBe('closed');
  await fail(breaker);
  expect(breaker.state).toBe('open');
});

test('slow calls open the circuit though every one of them succeeds', async () => {
  const { breaker, clock } = open({
    windowCalls: 10,
    minimumCalls: 4,
    slowCallMs: 500,
    slowCallRateThreshold: 0.5,
  });
  for (const durationMs of [499, 499, 500, 500]) {
    expect(breaker.state).toBe('closed');
    const call = held<string>();
    const calling = breaker.execute(call.work);
    await clock.advance(durationMs);
    call.resolve('ok');
    await calling;
  }
  expect(breaker.getStats()).toMatchObject({ state: 'open', slowCount: 2, failureCount: 0 });
});

test('with a window, a threshold of consecutive failures that is given decides as well', async () => {
  const { breaker } = open({ windowCalls: 100, failureThreshold: 3 });
  await fail(breaker, 3);
  expect(breaker.state).toBe('open');
});

test('with a window, the probes of a half-open circuit are judged by their share of failures', async () => {
  const rules = { windowCalls: 10, minimumCalls: 1, openDurationMs: 1, halfOpenMaxCalls: 4 };
  const relapsing = open(rules);
  await fail(relapsing.breaker);
  await relapsing.clock.advance(1);
  await fail(relapsing.breaker);
  expect(relapsing.breaker.state).toBe('half-open');
  await fail(relapsing.breaker);
  expect(relapsing.breaker.state).toBe('open');

  const recovering = open(rules);
  await fail(recovering.breaker);
  await recovering.clock.advance(1);
  await fail(recovering.breaker);
  for (let call = 0; call < 3; call += 1) await succeed(recovering.breaker);
  expect(recovering.breaker.state).toBe('closed');
});

test('H8: a step of the wall clock by an hour, either way, changes no decision', async () => {
  for (const stepMs of [3_600_000, -3_600_000]) {
    const { breaker, clock } = open({
      failureThreshold: 1,
      openDurationMs: 1_000,
      windowMs: 10_000,
    });
    await fail(breaker);
    clock.stepWallClock(stepMs);
    await clock.advance(999);
    expect((await breaker.tryExecute(async () => 'ok')).kind).toBe('refused');
    clock.stepWallClock(stepMs);
    await clock.advance(1);
    expect(await breaker.execute(async () => 'ok')).toBe('ok');
  }
});

test('H9: an isolation that was exported and hydrated is lifted by reset', async () => {
  const { breaker } = open();
  breaker.isolate();
  const { breaker: other } = open();
  other.hydrate(JSON.parse(JSON.stringify(breaker.exportState())));
  await expect(other.execute(async () => 'ok')).rejects.toMatchObject({
    code: 'CIRCUIT_OPEN',
    state: 'isolated',
    retryable: false,
  });
  other.reset();
  expect(await other.execute(async () => 'ok')).toBe('ok');
});

test('H10: an exported opening began when the circuit opened, and a hydrated one ends when it would have', async () => {
  const { breaker, clock } = open({ failureThreshold: 1, openDurationMs: 60_000 });
  await clock.advance(600_000);
  const openedAt = clock.epochMs();
  await fail(breaker);
  await clock.advance(10_000);
  const snapshot = breaker.exportState();
  expect(snapshot).toMatchObject({ state: 'open', sinceEpochMs: openedAt });

  const laterClock = createFakeClock(clock.epochMs() + 20_000);
  const later = createCircuitBreaker({ openDurationMs: 60_000, clock: laterClock });
  later.hydrate(snapshot);
  expect(later.getStats()).toMatchObject({
    state: 'open',
    lastStateChange: openedAt,
    retryAfterMs: 30_000,
  });
  await laterClock.advance(30_000);
  expect(await later.execute(async () => 'ok')).toBe('ok');
});

test('a hydrated opening never lasts longer than the longest, wherever the wall clock stands', async () => {
  const { breaker } = open({ failureThreshold: 1, openDurationMs: 1_000 });
  await fail(breaker);
  const snapshot = breaker.exportState();
  const behind = createCircuitBreaker({
    openDurationMs: 1_000,
    maxOpenDurationMs: 2_000,
    clock: createFakeClock(0),
  });
  behind.hydrate(snapshot);
  expect(behind.getStats().retryAfterMs).toBe(2_000);
});

test('a snapshot that is none is refused by field', () => {
  const { breaker } = open();
  const snapshot = { ...breaker.exportState(), openings: -1 };
  expect(() => breaker.hydrate(snapshot)).toThrow(
    'circuitBreaker.hydrate: snapshot.openings must be a whole number from 0',
  );
});

test('H11: calls in flight do not dilute the share of failures', async () => {
  const { breaker } = open({ windowCalls: 100, minimumCalls: 5, failureRateThreshold: 0.4 });
  const flights = Array.from({ length: 100 }, () => held<string>());
  const calls = flights.map(({ work }) => breaker.tryExecute(work));
  await fail(breaker, 5);
  expect(breaker.state).toBe('open');
  for (const { resolve } of flights) resolve('ok');
  await Promise.all(calls);
  expect(breaker.getStats()).toMatchObject({ state: 'open', lateCount: 100 });
});

test('H18: a listener that throws is nobody else’s error, and every listener hears', async () => {
  const warned = jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
  const { breaker } = open({ failureThreshold: 1 });
  const heard: CircuitStateChange[] = [];
  breaker.on('stateChanged', () => {
    throw new Error('broken listener');
  });
  breaker.on('stateChanged', (change) => heard.push(change));
  await expect(breaker.execute(() => Promise.reject(refused))).rejects.toBe(refused);
  expect(heard).toEqual([
    expect.objectContaining({ name: 'portal', from: 'closed', to: 'open', error: refused }),
  ]);
  expect(warned).toHaveBeenCalledTimes(1);
  warned.mockRestore();
});

test('a listener may move the circuit while it is told of a change', async () => {
  const { breaker, clock } = open({ failureThreshold: 1, openDurationMs: 1_000 });
  breaker.on('stateChanged', ({ to }) => {
    if (to === 'half-open') breaker.reset();
  });
  await fail(breaker);
  await clock.advance(1_000);
  expect(await breaker.execute(async () => 'ok')).toBe('ok');
  expect(breaker.state).toBe('closed');
});

test('H20: the context of the caller reaches the work', async () => {
  const { breaker } = open();
  const context = new AsyncLocalStorage<string>();
  const seen = await context.run('trace-1', () => breaker.execute(() => context.getStore()));
  expect(seen).toBe('trace-1');
});

test('H22: a circuit without options opens after five failures and probes once after a minute', async () => {
  const { breaker, clock } = open();
  await fail(breaker, 5);
  expect(breaker.getStats()).toMatchObject({ state: 'open', retryAfterMs: 60_000 });
  await clock.advance(60_000);
  expect(breaker.tryAcquire()).toMatchObject({ granted: true });
  expect(breaker.tryAcquire()).toEqual({ granted: false, state: 'half-open', retryAfterMs: 1_000 });
});

test('H25: a circuit has no timer', async () => {
  const { breaker, clock } = open({ failureThreshold: 1, windowMs: 10_000 });
  await fail(breaker, 3);
  breaker.forceOpen();
  expect(clock.pendingTimers).toBe(0);
});

test('a permit counts once, however often it is answered', async () => {
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

test('isolate, forceOpen, observe and reset are heard, and what is in flight then counts no more', async () => {
  const { breaker, clock } = open({ failureThreshold: 1, openDurationMs: 5_000 });
  const heard: string[] = [];
  breaker.on('stateChanged', ({ from, to }) => heard.push(`${from} > ${to}`));
  const flight = held<string>();
  const flying = breaker.tryExecute(flight.work);
  breaker.observe();
  flight.reject(refused);
  await flying;
  await fail(breaker, 10);
  expect(breaker.getStats()).toMatchObject({ state: 'metrics-only', failureCount: 10 });
  breaker.isolate();
  breaker.isolate();
  breaker.forceOpen(2_000);
  expect(breaker.getStats().retryAfterMs).toBe(2_000);
  await clock.advance(2_000);
  await succeed(breaker);
  expect(heard).toEqual([
    'closed > metrics-only',
    'metrics-only > isolated',
    'isolated > open',
    'open > half-open',
    'half-open > closed',
  ]);
  expect(() => breaker.forceOpen(-1)).toThrow(InvalidOptionError);
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
