import { expect, jest, test } from '@jest/globals';
import { createBulkhead } from '@holdfast/resilience';
import { fail, held, open, refused, succeed } from './circuit-fixture.ts';

test('after its time an open circuit lets one probe through, and its success closes it', async () => {
  const { breaker, clock } = open({ failureThreshold: 1, openDurationMs: 1_000 });
  await fail(breaker);
  await clock.advance(999);
  expect((await breaker.tryExecute(async () => 'ok')).kind).toBe('refused');
  await clock.advance(1);
  expect(await breaker.execute(async () => 'ok')).toBe('ok');
  expect(breaker.getStats()).toMatchObject({ state: 'closed', consecutiveFailures: 0 });
});

test('each failed probe opens the circuit for longer, up to maxOpenDurationMs', async () => {
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

test('a half-open circuit refuses all calls but the permitted probes at once', async () => {
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

test('no call waits for a probe, so an abort has no wait to end', async () => {
  const { breaker, clock } = open({ failureThreshold: 1, openDurationMs: 1_000 });
  await fail(breaker);
  await clock.advance(1_000);
  const probe = held<string>();
  const probing = breaker.execute(probe.work);
  const controller = new AbortController();
  const second = breaker.execute((signal) => signal.aborted, { signal: controller.signal });
  await expect(second).rejects.toMatchObject({
    code: 'RESILIENCE_CIRCUIT_OPEN',
    state: 'half-open',
  });
  probe.resolve('ok');
  expect(await probing).toBe('ok');
  controller.abort(new Error('left'));
  const third = breaker.execute(() => 'called', { signal: controller.signal });
  await expect(third).rejects.toThrow('left');
});

test('a probe that never settles counts as failed after probeTimeoutMs, and another is admitted', async () => {
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

test('lost probes that decide nothing leave the remaining probes, and count once only', async () => {
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

test('a late result changes no state, whether it is a success or a failure', async () => {
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

test('an aborted or refused probe is neutral: the circuit stays half-open and admits another', async () => {
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

test('an open circuit reports the failure that opened it last', async () => {
  const { breaker, clock } = open({ failureThreshold: 1, openDurationMs: 1_000 });
  await fail(breaker);
  await clock.advance(1_000);
  const later = new Error('still down');
  await fail(breaker, 1, later);
  await expect(breaker.execute(async () => 'ok')).rejects.toMatchObject({ cause: later });
});
