import { expect, test } from '@jest/globals';
import { fail, held, open, succeed } from './circuit-fixture.ts';

test('results before an idle hour have left a time window', async () => {
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

test('a time window counts slow calls, opens at their share, and forgets them as it does all others', async () => {
  const { breaker, clock } = open({
    windowMs: 10_000,
    minimumCalls: 4,
    slowCallMs: 500,
    slowCallRateThreshold: 0.5,
  });
  const slowCall = async (): Promise<void> => {
    const call = held<string>();
    const calling = breaker.execute(call.work);
    await clock.advance(500);
    call.resolve('ok');
    await calling;
  };
  await slowCall();
  expect(breaker.getStats().window).toEqual({ calls: 1, failures: 0, slowCalls: 1 });
  await clock.advance(60_000);
  expect(breaker.getStats().window).toEqual({ calls: 0, failures: 0, slowCalls: 0 });
  await succeed(breaker);
  await succeed(breaker);
  await slowCall();
  expect(breaker.state).toBe('closed');
  await slowCall();
  expect(breaker.state).toBe('open');
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

test('calls in flight do not dilute the share of failures', async () => {
  const { breaker } = open({ windowCalls: 100, minimumCalls: 5, failureRateThreshold: 0.4 });
  const flights = Array.from({ length: 100 }, () => held<string>());
  const calls = flights.map(({ work }) => breaker.tryExecute(work));
  await fail(breaker, 5);
  expect(breaker.state).toBe('open');
  for (const { resolve } of flights) resolve('ok');
  await Promise.all(calls);
  expect(breaker.getStats()).toMatchObject({ state: 'open', lateCount: 100 });
});

test('without minimumCalls twenty calls are awaited, or as many as the window holds', async () => {
  for (const [windowCalls, minimumCalls] of [
    [100, 20],
    [8, 8],
  ] as const) {
    const { breaker } = open({ windowCalls });
    await fail(breaker, minimumCalls - 1);
    expect(breaker.state).toBe('closed');
    await fail(breaker);
    expect(breaker.state).toBe('open');
  }
});
