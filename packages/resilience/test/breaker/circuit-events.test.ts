import { expect, test } from '@jest/globals';
import type { CircuitStateChange } from '@holdfast/resilience';
import { fail, held, open, refused, succeed } from './circuit-fixture.ts';

/** A breaker, and every change of state it tells. */
function listened(options: Parameters<typeof open>[0]): ReturnType<typeof open> & {
  changes: CircuitStateChange[];
} {
  const opened = open(options);
  const changes: CircuitStateChange[] = [];
  opened.breaker.on('stateChanged', (change) => changes.push(change));
  return { ...opened, changes };
}

test('an opening is emitted with its duration from then on, and with its cause', async () => {
  const { breaker, clock, changes } = listened({ failureThreshold: 1, openDurationMs: 60_000 });
  await clock.advance(12_345);
  await fail(breaker);
  expect(changes).toMatchObject([
    { from: 'closed', to: 'open', openDurationMs: 60_000, error: refused },
  ]);
});

test('a circuit that has closed again forgets the failure that opened it', async () => {
  const { breaker, clock, changes } = listened({ failureThreshold: 1, openDurationMs: 1_000 });
  await fail(breaker);
  await clock.advance(1_000);
  await succeed(breaker);
  expect(breaker.state).toBe('closed');
  breaker.forceOpen(1_000);
  expect(changes.at(-1)).toMatchObject({ from: 'closed', to: 'open' });
  expect(changes.at(-1)).not.toHaveProperty('error');
});

test('a reset without effect emits nothing; forcing an open circuit open emits the new time', () => {
  const { breaker, changes } = listened({});
  breaker.reset();
  expect(changes).toEqual([]);
  breaker.forceOpen(1_000);
  breaker.forceOpen(5_000);
  expect(changes.map(({ openDurationMs }) => openDurationMs)).toEqual([1_000, 5_000]);
});

test('a call after retryAfterMs is not a fraction of a millisecond early', async () => {
  const { breaker, clock } = open({ failureThreshold: 1, openDurationMs: 1_000 });
  await fail(breaker);
  await clock.advance(0.25);
  expect(await breaker.tryExecute(async () => 'ok')).toMatchObject({ retryAfterMs: 1_000 });
});

test('while a probe runs, retryAfterMs ends no later than the probe’s timeout', async () => {
  const { breaker, clock } = open({
    failureThreshold: 1,
    openDurationMs: 1_000,
    probeTimeoutMs: 800,
  });
  await fail(breaker);
  await clock.advance(1_000);
  const { work, resolve } = held<string>();
  const probe = breaker.execute(work);
  await clock.advance(300.25);
  await expect(breaker.execute(async () => 'ok')).rejects.toMatchObject({
    state: 'half-open',
    retryAfterMs: 500,
  });
  resolve('late');
  await probe;
});
