import { expect, test } from '@jest/globals';
import { createEmitter } from '@holdfast/foundation';
import { createFakeClock } from '@holdfast/foundation/testing';
import type { Delivery, Subscription } from '../../src/backend.ts';
import { JobMemory } from '../../src/consumer/job-memory.ts';
import { BackendError } from '../../src/errors.ts';
import { type QueueEvents, queueEventKinds } from '../../src/state/queue-events.ts';
import { droppingExpired } from '../../src/windows/expiry.ts';

const AWAY = new BackendError('unreachable', 'away');

/** A subscription with one job that has expired, whose store is away when it is to be removed. */
function open() {
  const clock = createFakeClock();
  const stale: Delivery = {
    handle: 'one',
    id: 'stale',
    deliveries: 1,
    enqueuedAtMs: clock.epochMs() - 10,
    expiresInMs: 5,
    payload: 'null',
  };
  const calls: unknown[][] = [];
  const store = { isAway: true, lost: [] as readonly string[] };
  const inner: Subscription = {
    whenConnected: async (signal) => signal.throwIfAborted(),
    fetch: async (...args) => (calls.push(['fetch', ...args]), [stale]),
    recover: async (...args) => (
      calls.push(['recover', ...args]),
      { deliveries: [], lost: store.lost }
    ),
    async acknowledge(...args) {
      calls.push(['acknowledge', ...args]);
      if (store.isAway) throw AWAY;
    },
    deadLetter: async (...args) => void calls.push(['deadLetter', ...args]),
    control: async (held) => (calls.push(['control', held]), { isPaused: true, cancelled: held }),
    close: async () => undefined,
  };
  const expired = { count: 0 };
  const events = createEmitter<QueueEvents>('holdfast:queue', queueEventKinds);
  const memory = new JobMemory();
  const deps = { topic: 't', clock, events, memory, expired };
  return { subscription: droppingExpired(inner, deps), calls, store, expired, stale };
}

test('an expired job is reported once the store has removed it, and held until then', async () => {
  const { subscription, store, expired, calls } = open();
  expect(await subscription.fetch(1)).toEqual([]);
  expect(expired.count).toBe(0);
  store.isAway = false;
  await subscription.recover(['two'], 0);
  expect(calls.filter(([kind]) => kind === 'recover')).toEqual([['recover', ['two', 'one'], 0]]);
  expect(expired.count).toBe(1);
});

test('an expired job whose lease went to another consumer is not reported by both', async () => {
  const { subscription, store, expired } = open();
  await subscription.fetch(1);
  Object.assign(store, { isAway: false, lost: ['one'] });
  await subscription.recover([], 0);
  await subscription.recover([], 0);
  expect(expired.count).toBe(0);
});

test('what a consumer says of its jobs reaches the store with every argument', async () => {
  const { subscription, store, calls, stale } = open();
  store.isAway = false;
  const outcome = { id: 'two', outcome: '{}', ttlMs: 1, isUnknown: false };
  const outcomes = new Map([['two', outcome]]);
  await subscription.acknowledge(['two'], outcomes);
  await subscription.deadLetter(stale, 'reason', 'stack', outcome);
  expect(await subscription.control?.(['two'])).toEqual({ isPaused: true, cancelled: ['two'] });
  const { signal } = new AbortController();
  await subscription.recover([], 3, false, { delivery: 2, isOfCrashes: true, max: 1 });
  await subscription.fetch(1, 2, signal);
  expect(calls.slice(0, 5)).toEqual([
    ['acknowledge', ['two'], outcomes],
    ['deadLetter', stale, 'reason', 'stack', outcome],
    ['control', ['two']],
    ['recover', [], 3, false, { delivery: 2, isOfCrashes: true, max: 1 }],
    ['fetch', 1, 2, signal],
  ]);
});
