import { expect, test } from '@jest/globals';
import { Prefetch } from '../../src/consumer/prefetch.ts';
import type { Delivery } from '../../src/backend.ts';

const SLOTS = 4;

function delivery(handle: string): Delivery {
  return { handle, id: handle, deliveries: 1, enqueuedAtMs: 0, payload: 'null' };
}

/** As many as were begun within the time, measured at its end. */
function after(begun: number, tookMs: number): Prefetch {
  const ahead = new Prefetch(SLOTS, 0);
  for (let count = 0; count < begun; count += 1) ahead.recordStart();
  ahead.measure(tookMs);
  return ahead;
}

test('before anything was begun, and where handlers take their time, no job is taken ahead', () => {
  expect(new Prefetch(SLOTS, 0).room).toBe(0);
  expect(after(SLOTS, 100).room).toBe(0);
});

test('where handlers are quick, as many jobs are taken ahead as there are slots, and no more', () => {
  expect(after(2, 10).room).toBe(2);
  expect(after(1_000, 10).room).toBe(SLOTS);
  expect(new Prefetch(0, 0).room).toBe(0);
});

test('others are asked for once half of them are gone, and they leave in the order they came', () => {
  const ahead = after(1_000, 10);
  for (const handle of ['1', '2', '3', '4']) ahead.add(delivery(handle));
  expect(ahead.room).toBe(0);
  expect(ahead.next()?.handle).toBe('1');
  expect(ahead.room).toBe(0);
  expect(ahead.next()?.handle).toBe('2');
  expect(ahead.room).toBe(2);
});

test('what became another consumer’s is not begun', () => {
  const ahead = after(1_000, 10);
  for (const handle of ['1', '2', '3']) ahead.add(delivery(handle));
  ahead.drop(['1', '3']);
  expect(ahead.handles()).toEqual(['2']);
  ahead.clear();
  expect(ahead.next()).toBeUndefined();
});
