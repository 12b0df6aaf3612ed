import { expect, test } from '@jest/globals';
import { type StorageFailure, fail } from '../../src/backend.ts';
import { AWAY, DENIED, openTestStorage, textAt } from '../open-storage.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

/** A storage with waiting writes, whose primary gives this failure; counts the calls to the primary. */
async function openWaiting(failure: StorageFailure) {
  const opened = await openTestStorage({ acknowledgeWithinMs: 0, freshMs: 0 });
  const script = { failure: failure as StorageFailure | undefined, calls: 0 };
  opened.primary.intercept = () => {
    script.calls += 1;
    return script.failure === undefined ? undefined : { before: script.failure };
  };
  for (let key = 0; key < 20; key += 1) await opened.storage.upload(`k${key}`, 'x');
  return { ...opened, script };
}

test('an idle storage asks its backends nothing', async () => {
  const { storage, clock, primary } = await openTestStorage();
  await storage.upload('k', 'x');
  await storage.flush({ deadlineMs: MINUTE_MS });
  let calls = 0;
  primary.intercept = () => void (calls += 1);
  await clock.advance(HOUR_MS);
  expect(calls).toBe(0);
  await storage.close();
});

test('a backend that denies is probed once a minute, whatever waits for it', async () => {
  const { storage, clock, primary, script } = await openWaiting(DENIED);
  await clock.advance(MINUTE_MS);
  const { calls } = script;
  await clock.advance(30 * MINUTE_MS);
  expect(script.calls - calls).toBeGreaterThanOrEqual(15);
  // A probe may read before it writes.
  expect(script.calls - calls).toBeLessThanOrEqual(60);
  script.failure = undefined;
  await clock.advance(MINUTE_MS + 5_000);
  expect(textAt(primary, 'k19')).toBe('x');
  await storage.close();
});

test('a backend that is down is probed ever more rarely, and every 30 s at last', async () => {
  const { storage, clock, primary, script } = await openWaiting(AWAY);
  await clock.advance(5 * MINUTE_MS);
  const { calls } = script;
  await clock.advance(30 * MINUTE_MS);
  expect(script.calls - calls).toBeGreaterThanOrEqual(30);
  expect(script.calls - calls).toBeLessThanOrEqual(120);
  script.failure = undefined;
  // The longest wait until it is noticed that the backend is back.
  await clock.advance(35_000);
  expect(textAt(primary, 'k19')).toBe('x');
  await storage.close();
});

test('nothing is sent before the time that Retry-After states, and then within a second', async () => {
  const retryAfterMs = 7 * MINUTE_MS;
  const { storage, clock, primary, script } = await openWaiting(
    fail('transient', 'HTTP 429', { retryAfterMs }),
  );
  await clock.advance(1_000);
  const { calls } = script;
  script.failure = undefined;
  await clock.advance(retryAfterMs - 2_000);
  expect(script.calls).toBe(calls);
  await clock.advance(3_000);
  expect(textAt(primary, 'k0')).toBe('x');
  await storage.close();
});

test('the first answer with Retry-After is enough, and shows in the health', async () => {
  const retryAfterMs = 5_000;
  const { storage, clock, primary } = await openTestStorage();
  let calls = 0;
  primary.intercept = () => {
    calls += 1;
    return { before: fail('transient', 'HTTP 503', { retryAfterMs }) };
  };
  const { stored } = await clock.settle(storage.upload('k', 'x', { acknowledgeWithinMs: 1_000 }));
  expect(stored).toBe('queued');
  expect(storage.health()).toMatchObject({ backends: { primary: { state: 'down' } } });
  const others = await Promise.all(['a', 'b', 'c'].map((key) => storage.upload(key, 'x')));
  expect(others.map((other) => other.stored)).toEqual(['queued', 'queued', 'queued']);
  expect(calls).toBe(1);
  primary.intercept = () => undefined;
  await clock.advance(retryAfterMs + 1_000);
  expect(['k', 'a', 'b', 'c'].map((key) => textAt(primary, key))).toEqual(['x', 'x', 'x', 'x']);
  expect(storage.health()).toMatchObject({ backends: { primary: { state: 'up' } } });
  await storage.close();
});

test('a server that asks to wait for years is asked again within the hour', async () => {
  const { storage, clock, primary, script } = await openWaiting(
    fail('transient', 'HTTP 503', { retryAfterMs: 24 * 365 * HOUR_MS }),
  );
  await clock.advance(1_000);
  script.failure = undefined;
  await clock.advance(HOUR_MS + MINUTE_MS);
  expect(textAt(primary, 'k19')).toBe('x');
  await storage.close();
});
