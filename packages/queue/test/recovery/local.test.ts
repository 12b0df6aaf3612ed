import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterEach, expect, test } from '@jest/globals';
import { BackendError } from '../../src/errors.ts';
import { type TestQueue, openTestQueue } from '../open-queue.ts';

const opened: TestQueue[] = [];
const gone = new BackendError('unreachable', 'connection refused');

afterEach(async () => {
  for (const { queue, clock } of opened.splice(0)) {
    await clock.settle(queue.close({ deadlineMs: 1 }).catch(() => undefined));
  }
});

async function openLocal(): Promise<TestQueue> {
  const one = openTestQueue({ acknowledge: 'local' });
  opened.push(one);
  await one.backend.opened;
  one.backend.up();
  await one.clock.settle(one.queue.ready());
  return one;
}

function applied({ backend }: TestQueue): number[] {
  return (backend.applied.get('t') ?? []).map(Number);
}

/** Lets the clock run until as many jobs are applied. */
async function untilApplied(one: TestQueue, count: number): Promise<void> {
  for (let turn = 0; applied(one).length < count && turn < 1_000; turn += 1) {
    await one.clock.advance(10);
    await nextTurn();
  }
  expect(applied(one)).toHaveLength(count);
}

test('what the fallback has accepted is forwarded while Redis is up, in order', async () => {
  const one = await openLocal();
  for (const job of [1, 2, 3]) {
    expect(await one.queue.enqueue('t', job)).toMatchObject({ accepted: 'memory' });
  }
  await untilApplied(one, 3);
  await one.queue.enqueue('t', 4);
  await untilApplied(one, 4);
  expect(applied(one)).toEqual([1, 2, 3, 4]);
  expect(one.queue.getStats()).toMatchObject({ state: 'direct', backlog: { jobs: 0 } });
});

test('when forwarding fails the queue recovers, and nothing is skipped or out of order', async () => {
  const one = await openLocal();
  const states: string[] = [];
  one.queue.on('state', ({ to }) => states.push(to));
  one.backend.refuseNext(gone);
  for (const job of [1, 2, 3]) await one.queue.enqueue('t', job);
  await untilApplied(one, 3);
  expect(applied(one)).toEqual([1, 2, 3]);
  expect(states.length).toBeGreaterThan(0);
  expect(states.at(-1)).toBe('direct');
});

test('after an outage the queue is direct again while the producer goes on', async () => {
  const one = await openLocal();
  one.backend.down();
  for (let job = 0; job < 50; job += 1) await one.queue.enqueue('t', job);
  expect(one.queue.getStats().state).not.toBe('direct');
  one.backend.up();
  for (let job = 50; job < 100; job += 1) {
    await one.queue.enqueue('t', job);
    await one.clock.advance(5);
  }
  await untilApplied(one, 100);
  expect(applied(one)).toEqual(Array.from({ length: 100 }, (_, job) => job));
  expect(one.queue.getStats().state).toBe('direct');
});
