import { expect, test } from '@jest/globals';
import { Prefetch } from '../../src/consumer/prefetch.ts';
import type { Delivery } from '../../src/backend.ts';

const SLOTS = 4;

function delivery(handle: string): Delivery {
  return { handle, id: handle, deliveries: 1, enqueuedAtMs: 0, payload: 'null' };
}

/** Starts this many jobs within the time, and measures at its end. */
function after(begun: number, tookMs: number): Prefetch {
  const ahead = new Prefetch(SLOTS, 0);
  for (let count = 0; count < begun; count += 1) ahead.recordStart();
  ahead.measure(tookMs);
  return ahead;
}

test('before any job was started, and with slow handlers, no job is prefetched', () => {
  expect(new Prefetch(SLOTS, 0).room).toBe(0);
  expect(after(SLOTS, 100).room).toBe(0);
});

test('with fast handlers, as many jobs are prefetched as there are slots, and no more', () => {
  expect(after(2, 10).room).toBe(2);
  expect(after(1_000, 10).room).toBe(SLOTS);
  expect(new Prefetch(0, 0).room).toBe(0);
});

test('more jobs are requested once half of them are used, and they leave in order', () => {
  const ahead = after(1_000, 10);
  for (const handle of ['1', '2', '3', '4']) ahead.add(delivery(handle));
  expect(ahead.room).toBe(0);
  expect(ahead.next()?.handle).toBe('1');
  expect(ahead.room).toBe(0);
  expect(ahead.next()?.handle).toBe('2');
  expect(ahead.room).toBe(2);
});

test('a job whose lease went to another consumer is not started', () => {
  const ahead = after(1_000, 10);
  for (const handle of ['1', '2', '3']) ahead.add(delivery(handle));
  ahead.drop(['1', '3']);
  expect(ahead.handles()).toEqual(['2']);
  ahead.takeAll();
  expect(ahead.next()).toBeUndefined();
});
