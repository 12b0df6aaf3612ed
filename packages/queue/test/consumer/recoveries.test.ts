import { expect, test } from '@jest/globals';
import { type FakeClock, createFakeClock } from '@holdfast/foundation/testing';
import type { Delivery, LastDeliveries, Subscription } from '../../src/backend.ts';
import { Attempts } from '../../src/consumer/attempts.ts';
import { parseProcessOptions } from '../../src/options.ts';
import { Recoveries } from '../../src/consumer/recoveries.ts';
import { TakeoverGuard } from '../../src/consumer/takeover-guard.ts';
import { WaitingJobs } from '../../src/consumer/waiting-jobs.ts';

const LEASE_MS = 30_000;

function delivery(handle: string, deliveries = 1): Delivery {
  return { handle, id: handle, deliveries, enqueuedAtMs: 0, payload: 'null' };
}

test('without a failure jobs may be taken over at once, after one only a full lease later', () => {
  const guard = new TakeoverGuard(LEASE_MS);
  expect(guard.mayTakeOver(0)).toBe(true);
  guard.failed();
  expect(guard.mayTakeOver(1_000_000)).toBe(false);
  guard.answered(1_000_000, 1_000_000);
  // A later answer does not begin the lease anew.
  for (const nowMs of [1_005_000, 1_018_000]) guard.answered(nowMs, nowMs);
  expect(guard.mayTakeOver(1_000_000 + LEASE_MS - 1)).toBe(false);
  expect(guard.mayTakeOver(1_000_000 + LEASE_MS)).toBe(true);
});

test('a time of half a lease without an answer counts as a failure', () => {
  const guard = new TakeoverGuard(LEASE_MS);
  guard.answered(0, 0);
  expect(guard.mayTakeOver(LEASE_MS / 2)).toBe(true);
  expect(guard.mayTakeOver(LEASE_MS / 2 + 1)).toBe(false);
  guard.answered(LEASE_MS, LEASE_MS);
  guard.answered(1.5 * LEASE_MS, 1.5 * LEASE_MS);
  expect(guard.mayTakeOver(2 * LEASE_MS - 1)).toBe(false);
  expect(guard.mayTakeOver(2 * LEASE_MS)).toBe(true);
});

test('an answer that took longer than a third of a lease counts as a failure, the wait for jobs apart', () => {
  const answered = (tookMs: number, waitMs?: number): boolean => {
    const guard = new TakeoverGuard(LEASE_MS);
    guard.answered(0, tookMs, waitMs);
    return guard.mayTakeOver(tookMs);
  };
  expect(answered(LEASE_MS / 3)).toBe(true);
  expect(answered(LEASE_MS / 3 + 1)).toBe(false);
  expect(answered(LEASE_MS / 3 + 250, 250)).toBe(true);
  expect(answered(LEASE_MS / 3 + 251, 250)).toBe(false);
});

interface Opened {
  readonly recoveries: Recoveries;
  readonly clock: FakeClock;
  readonly asked: { readonly max: number; readonly mayTakeOver?: boolean; last?: LastDeliveries }[];
  isAway: boolean;
}

function open(leaseMs = LEASE_MS, maxAttempts = 3): Opened {
  const clock = createFakeClock();
  const asked: Opened['asked'] = [];
  const recover: Subscription['recover'] = async (_held, max, mayTakeOver = true, last) => {
    if (opened.isAway) throw new Error('away');
    asked.push({ max, mayTakeOver, ...(last !== undefined && { last }) });
    return { deliveries: [], lost: [] };
  };
  const subscription: Subscription = {
    whenConnected: async () => undefined,
    fetch: async () => [],
    recover,
    acknowledge: async () => undefined,
    deadLetter: async () => undefined,
    close: async () => undefined,
  };
  const options = parseProcessOptions({ leaseMs, maxAttempts });
  const recoveries = new Recoveries({
    subscription,
    clock,
    onLost: () => undefined,
    options,
    attempts: new Attempts('t', options, () => 0),
  });
  const opened: Opened = { recoveries, clock, asked, isAway: false };
  return opened;
}

test.each([
  [300, 100],
  [600, 100],
  [1_200, 200],
  [12_000, 2_000],
  [30_000, 5_000],
  [600_000, 5_000],
])('with a lease of %i ms orphaned jobs are looked for every %i ms', async (leaseMs, everyMs) => {
  const { recoveries, clock } = open(leaseMs);
  expect(recoveries.waitMs).toBeLessThanOrEqual(0);
  await clock.advance(7_000);
  recoveries.complete();
  expect(recoveries.waitMs).toBe(everyMs);
  await clock.advance(everyMs - 1);
  expect(recoveries.waitMs).toBe(1);
  await clock.advance(1);
  expect(recoveries.waitMs).toBeLessThanOrEqual(0);
  recoveries.complete();
  // Whose delivery was lost with the connection is looked for at once.
  recoveries.failed();
  expect(recoveries.waitMs).toBeLessThanOrEqual(0);
});

test('after a failure the jobs of others are left to them for a lease', async () => {
  const opened = open();
  const { recoveries, clock, asked } = opened;
  await recoveries.recover(['h'], 7);
  expect(asked.at(-1)).toMatchObject({ max: 7, mayTakeOver: true });
  opened.isAway = true;
  await expect(recoveries.recover([], 7)).rejects.toThrow('away');
  opened.isAway = false;
  await recoveries.recover([], 7);
  expect(asked.at(-1)?.mayTakeOver).toBe(false);
  await clock.advance(LEASE_MS / 2);
  await recoveries.recover([], 7);
  await clock.advance(LEASE_MS / 2 - 1);
  await recoveries.recover([], 7);
  expect(asked.at(-1)?.mayTakeOver).toBe(false);
  await clock.advance(1);
  await recoveries.recover([], 7);
  expect(asked.at(-1)?.mayTakeOver).toBe(true);
  recoveries.failed();
  recoveries.answered(clock.now());
  await recoveries.recover([], 7);
  expect(asked.at(-1)?.mayTakeOver).toBe(false);
});

test('while a job runs for its last time no other is taken over for its own, and then at once', async () => {
  const { recoveries, clock, asked } = open();
  const lastOf = async (): Promise<number | undefined> => {
    await recoveries.recover([], 1);
    return asked.at(-1)?.last?.max;
  };
  expect(asked.at(-1)?.last).toBeUndefined();
  expect(await lastOf()).toBe(1);
  expect(asked.at(-1)?.last?.delivery).toBe(3);
  recoveries.started(delivery('early', 2));
  expect(await lastOf()).toBe(1);
  recoveries.started(delivery('last', 3));
  expect(await lastOf()).toBe(0);
  await clock.advance(10_000);
  recoveries.complete();
  // The next one is looked for soon.
  expect(recoveries.waitMs).toBe(100);
  recoveries.ended('early');
  expect(recoveries.waitMs).toBe(100);
  recoveries.ended('last');
  expect(recoveries.waitMs).toBeLessThanOrEqual(0);
  expect(await lastOf()).toBe(1);
});

test('with one attempt only, a job that was never delivered before is not alone', async () => {
  const { recoveries, asked } = open(LEASE_MS, 1);
  recoveries.started(delivery('first', 1));
  await recoveries.recover([], 1);
  expect(asked.at(-1)?.last?.max).toBe(1);
});

test('jobs that wait are due in their time, once, and can be taken back or lost', async () => {
  const clock = createFakeClock();
  const due: string[] = [];
  const waiting = new WaitingJobs(clock, ({ handle }) => due.push(handle));
  for (const [handle, delayMs] of Object.entries({ a: 100, b: 50, c: -5, d: 70, e: 70 })) {
    waiting.add(delivery(handle), delayMs);
  }
  expect([...waiting.handles()]).toEqual(['a', 'b', 'c', 'd', 'e']);
  expect(waiting.size).toBe(5);
  await clock.advance(0);
  expect([due, waiting.size]).toEqual([['c'], 4]);
  expect(waiting.drop('d')?.handle).toBe('d');
  expect(waiting.drop('unknown')).toBeUndefined();
  await clock.advance(70);
  expect(due).toEqual(['c', 'b', 'e']);
  expect(waiting.takeAll().map(({ handle }) => handle)).toEqual(['a']);
  await clock.advance(1_000);
  expect([due.length, waiting.size, clock.pendingTimers]).toEqual([3, 0, 0]);
});
