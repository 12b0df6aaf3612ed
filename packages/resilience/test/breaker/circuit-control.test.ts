import { expect, jest, test } from '@jest/globals';
import { InvalidOptionError } from '@holdfast/foundation';
import { type CircuitStateChange, createCircuitBreaker } from '@holdfast/resilience';
import { createFakeClock } from '@holdfast/foundation/testing';
import { fail, held, open, refused, succeed } from './circuit-fixture.ts';

test('a step of the wall clock by an hour, either way, changes no decision', async () => {
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

test('reset ends an isolation that was exported and hydrated', async () => {
  const { breaker } = open();
  breaker.isolate();
  const { breaker: other } = open();
  other.hydrate(JSON.parse(JSON.stringify(breaker.exportState())));
  await expect(other.execute(async () => 'ok')).rejects.toMatchObject({
    code: 'RESILIENCE_CIRCUIT_OPEN',
    state: 'isolated',
    retryable: false,
  });
  other.reset();
  expect(await other.execute(async () => 'ok')).toBe('ok');
});

test('an exported opening began when the circuit opened, and a hydrated one ends when it would have', async () => {
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

test('a hydrated opening never lasts longer than maxOpenDurationMs, whatever the wall clock says', async () => {
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

test('a hydrated circuit goes on counting the failures in a row of the one that was exported', async () => {
  const { breaker } = open({ failureThreshold: 3 });
  await fail(breaker, 2);
  const { breaker: later } = open({ failureThreshold: 3 });
  later.hydrate(breaker.exportState());
  expect(later.getStats()).toMatchObject({ state: 'closed', consecutiveFailures: 2 });
  await fail(later);
  expect(later.state).toBe('open');
});

test('the remaining time of an opening is in whole milliseconds, rounded up', async () => {
  const { breaker, clock } = open({ failureThreshold: 1, openDurationMs: 1_000 });
  await fail(breaker);
  await clock.advance(0.5);
  expect(breaker.getStats().retryAfterMs).toBe(1_000);
});

test('a call aborted before it begins is not made, and is neutral for the circuit', async () => {
  const { breaker } = open({ failureThreshold: 1 });
  const signal = AbortSignal.abort('gone before');
  const work = jest.fn(async () => 'ok');
  expect(await breaker.tryExecute(work, { signal })).toEqual({
    kind: 'aborted',
    reason: 'gone before',
  });
  await expect(breaker.execute(work, { signal })).rejects.toBe('gone before');
  expect(work).not.toHaveBeenCalled();
  expect(breaker.getStats()).toMatchObject({ successCount: 0, failureCount: 0, neutralCount: 0 });
});

test('an invalid snapshot is refused with the field’s name', () => {
  const { breaker } = open();
  const snapshot = { ...breaker.exportState(), openings: -1 };
  expect(() => breaker.hydrate(snapshot)).toThrow(
    'circuitBreaker.hydrate: snapshot.openings must be a whole number from 0',
  );
});

test('a throwing listener fails no call, and every other listener is called', async () => {
  const warned = jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
  const { breaker } = open({ failureThreshold: 1 });
  const heard: CircuitStateChange[] = [];
  breaker.on('stateChanged', () => {
    throw new Error('broken listener');
  });
  breaker.on('stateChanged', (change) => heard.push(change));
  await expect(breaker.execute(() => Promise.reject(refused))).rejects.toBe(refused);
  expect(heard).toEqual([
    expect.objectContaining({
      name: 'portal',
      from: 'closed',
      to: 'open',
      error: refused,
      openDurationMs: 60_000,
    }),
  ]);
  expect(warned).toHaveBeenCalledTimes(1);
  warned.mockRestore();
});

test('a listener may change the circuit’s state', async () => {
  const { breaker, clock } = open({ failureThreshold: 1, openDurationMs: 1_000 });
  breaker.on('stateChanged', ({ to }) => {
    if (to === 'half-open') breaker.reset();
  });
  await fail(breaker);
  await clock.advance(1_000);
  expect(await breaker.execute(async () => 'ok')).toBe('ok');
  expect(breaker.state).toBe('closed');
});

test('isolate, forceOpen, observe and reset emit events, and calls in flight then no longer count', async () => {
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
