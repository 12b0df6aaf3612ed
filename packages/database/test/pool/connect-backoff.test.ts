import { expect, test } from '@jest/globals';
import { seededRandom } from '@holdfast/foundation';
import { ConnectBackoff } from '../../src/pool/connect-backoff.ts';

const INITIAL_MS = 20;
const MAX_MS = 200;

function closed(): ConnectBackoff {
  return new ConnectBackoff({ initialDelayMs: INITIAL_MS, maxDelayMs: MAX_MS }, seededRandom(1));
}

/** A host that has been up since that time. */
function openSince(nowMs: number): ConnectBackoff {
  const backoff = closed();
  backoff.beginAttempt();
  backoff.succeeded(nowMs);
  return backoff;
}

test('the time until the next attempt passes with the clock, and is never below 0', () => {
  const backoff = closed();
  backoff.beginAttempt();
  const delayMs = backoff.failed(1_000, true);
  expect(delayMs).toBeGreaterThan(0);
  expect(backoff.dueInMs(1_000)).toBe(delayMs);
  expect(backoff.dueInMs(1_005)).toBe(delayMs - 5);
  expect(backoff.dueInMs(9_000)).toBe(0);
});

test('an attempt that began before the host was suspect proves nothing, and counts for nothing', () => {
  const backoff = openSince(0);
  expect(backoff.beginAttempt()).toBe(false);
  backoff.suspect(1_000);
  expect(backoff.beginAttempt()).toBe(true);
  expect(backoff.failed(1_010, false)).toBe(0);
  expect(backoff.attempts).toBe(0);
  expect(backoff.dueInMs(1_010)).toBeUndefined();
  const delayMs = backoff.failed(1_020, true);
  expect(backoff.attempts).toBe(1);
  expect(backoff.failed(1_021, false)).toBe(delayMs - 1);
  expect(backoff.failed(5_000, false)).toBe(0);
  expect(backoff.attempts).toBe(1);
});

test('attempts are counted until one succeeds', () => {
  const backoff = openSince(0);
  expect(backoff.failed(0, false)).toBeGreaterThan(0);
  for (const attempts of [2, 3]) {
    backoff.beginAttempt();
    backoff.failed(0, true);
    expect(backoff.attempts).toBe(attempts);
  }
  backoff.succeeded(0);
  expect(backoff.attempts).toBe(0);
});

test.each([
  ['after the longest delay', MAX_MS, true],
  ['a moment before that', MAX_MS - 1, false],
])('whether a host lost %s of being up (%i ms) is tried at once: %p', (_, upMs, isAtOnce) => {
  const backoff = openSince(1_000);
  // Further connections do not make it younger.
  backoff.succeeded(1_000 + upMs - 1);
  backoff.suspect(1_000 + upMs);
  expect(backoff.dueInMs(1_000 + upMs) === 0).toBe(isAtOnce);
});

test('a steady host begins with the shortest delay again, one that closes at once goes on with a longer one', () => {
  const next = (upMs: number): number => {
    const backoff = closed();
    for (let failures = 0; failures < 6; failures += 1) {
      backoff.beginAttempt();
      backoff.failed(0, true);
    }
    backoff.beginAttempt();
    backoff.succeeded(0);
    backoff.suspect(upMs);
    if (backoff.dueInMs(upMs) !== 0) return backoff.dueInMs(upMs) ?? 0;
    backoff.beginAttempt();
    return backoff.failed(upMs, true);
  };
  expect(next(MAX_MS)).toBeLessThanOrEqual(INITIAL_MS * 1.2);
  expect(next(1)).toBeGreaterThan(INITIAL_MS * 4);
});

test('further losses of a suspect host change neither its delay nor the attempt under way', () => {
  const backoff = openSince(0);
  backoff.suspect(10);
  const dueInMs = backoff.dueInMs(10);
  expect(dueInMs).toBeGreaterThan(0);
  backoff.suspect(10);
  expect(backoff.dueInMs(10)).toBe(dueInMs);
  backoff.beginAttempt();
  backoff.suspect(11);
  expect(backoff.dueInMs(11)).toBeUndefined();
});
