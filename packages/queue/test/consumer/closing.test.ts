import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterEach, expect, test } from '@jest/globals';
import { sleep } from '@holdfast/foundation';
import { createFakeClock, type FakeClock } from '@holdfast/foundation/testing';
import { BackendError } from '../../src/errors.ts';
import type { Job, ProcessOptions } from '../../src/queue.ts';
import { FakeBackend } from '../fake/fake-backend.ts';
import { type TestQueue, openTestQueue } from '../open-queue.ts';

const LEASE_MS = 30_000;
const opened: TestQueue[] = [];

afterEach(async () => {
  const all = opened.splice(0);
  for (const { queue, clock } of all) {
    await clock.settle(queue.close({ deadlineMs: 1 }).catch(() => undefined));
  }
  // Some share a clock.
  for (const { clock } of all) expect(clock.pendingTimers).toBe(0);
});

/** Two queues on one server and one clock. */
async function openTwo(): Promise<{ one: TestQueue; two: TestQueue; clock: FakeClock }> {
  const clock = createFakeClock();
  const server = new FakeBackend(undefined, clock);
  const [one, two] = [
    openTestQueue({ clock }, server, clock),
    openTestQueue({ clock }, server, clock),
  ];
  opened.push(one, two);
  for (const { queue, backend } of [one, two]) {
    backend.up();
    await queue.ready();
  }
  return { one, two, clock };
}

/** Counts how often each job is started by consumers whose handlers take this long. */
function counter(clock: FakeClock): {
  readonly runs: Map<string, number>;
  readonly handle: (tookMs: number) => (job: Job) => Promise<void>;
} {
  const runs = new Map<string, number>();
  return {
    runs,
    handle: (tookMs) => async (job) => {
      runs.set(job.id, (runs.get(job.id) ?? 0) + 1);
      await sleep(clock, tookMs);
    },
  };
}

async function seconds(clock: FakeClock, count: number): Promise<void> {
  for (let second = 0; second < count; second += 1) await clock.advance(1_000);
}

const SLOW: ProcessOptions = { leaseMs: LEASE_MS, concurrency: 1 };

test('a handler that outlives its lease while its consumer closes keeps its job until it ends', async () => {
  const { one, two, clock } = await openTwo();
  const { runs, handle } = counter(clock);
  const consumer = one.queue.process('t', handle(3 * LEASE_MS), SLOW);
  await one.queue.enqueue('t', 1, { jobId: 'a' });
  await seconds(clock, 1);
  two.queue.process('t', handle(1), SLOW);
  const closed = consumer.close({ deadlineMs: 10 * LEASE_MS });
  await seconds(clock, 100);
  await closed;
  expect(runs).toEqual(new Map([['a', 1]]));
  expect(one.backend.topics.get('t')?.entries).toEqual([]);
});

test('while a burial is refused, the job stays leased, and closing waits for the burial', async () => {
  const { one, two, clock } = await openTwo();
  const { runs, handle } = counter(clock);
  const refusal = new BackendError('busy', 'it is full');
  one.backend.refuseSettling(refusal);
  const consumer = one.queue.process(
    't',
    async (job) => {
      await handle(1)(job);
      throw new Error('no luck');
    },
    { ...SLOW, maxAttempts: 1 },
  );
  await one.queue.enqueue('t', 1, { jobId: 'a' });
  await seconds(clock, 1);
  two.queue.process('t', handle(1), SLOW);
  await seconds(clock, 2 * (LEASE_MS / 1_000));
  const closed = consumer.close({ deadlineMs: 10 * LEASE_MS });
  await seconds(clock, 2 * (LEASE_MS / 1_000));
  expect(runs).toEqual(new Map([['a', 1]]));
  expect(one.backend.dead).toEqual([]);
  one.backend.refuseSettling(undefined);
  await clock.settle(closed);
  expect(one.backend.dead).toMatchObject([{ id: 'a', reason: 'Error: no luck' }]);
});

test('jobs that end in another order than they began are all acknowledged before the consumer is closed', async () => {
  const { one, clock } = await openTwo();
  const consumer = one.queue.process('t', ({ payload }) => sleep(clock, 1_000 - Number(payload)), {
    concurrency: 20,
  });
  const jobs = Array.from({ length: 20 }, (_, n) => ({ payload: n * 10 }));
  await one.queue.enqueueMany('t', jobs);
  await clock.advance(10);
  await clock.settle(consumer.close());
  expect(consumer.getStats()).toMatchObject({ handled: 20, unconfirmed: 0 });
  expect(one.backend.topics.get('t')?.entries).toEqual([]);
});

test('a keyed job that waits for its retry is handed back by a closing consumer, with its attempts', async () => {
  const clock = createFakeClock();
  const topics = { keyed: { partitions: 1 } };
  const server = new FakeBackend(undefined, clock);
  const [one, two] = [0, 1].map(() => openTestQueue({ clock, topics }, server, clock));
  if (one === undefined || two === undefined) throw new Error('no queues');
  opened.push(one, two);
  for (const { queue, backend } of [one, two]) {
    backend.up();
    await queue.ready();
  }
  const consumer = one.queue.process(
    'keyed',
    () => {
      throw new Error('not here');
    },
    { retryDelayMs: 10 * LEASE_MS },
  );
  await one.queue.enqueue('keyed', 1, { key: 'k' });
  await seconds(clock, 1);
  expect(consumer.getStats()).toMatchObject({ failed: 1, running: 0, waiting: 1 });
  const attempts: number[] = [];
  two.queue.process('keyed', ({ attempt }) => void attempts.push(attempt));
  await clock.settle(consumer.close());
  await seconds(clock, 1);
  expect(attempts).toEqual([2]);
});

test('the leases of jobs taken ahead behind a stalled handler are renewed, also for longer than a lease', async () => {
  const { one, two, clock } = await openTwo();
  const { runs, handle } = counter(clock);
  const stalled = 4 * LEASE_MS;
  // A read takes time, as over a network; otherwise no job would be taken ahead.
  const subscribe = one.backend.subscribe.bind(one.backend);
  one.backend.subscribe = (topic, leaseMs) => {
    const subscription = subscribe(topic, leaseMs);
    return {
      ...subscription,
      async fetch(max) {
        await sleep(clock, 1);
        return subscription.fetch(max);
      },
    };
  };
  let isStalling = false;
  one.queue.process(
    't',
    async (job) => {
      // Handlers that are fast make the consumer take jobs ahead.
      isStalling ||= Number(job.payload) === 400;
      await handle(isStalling ? stalled : 1)(job);
    },
    { leaseMs: LEASE_MS, concurrency: 4 },
  );
  const jobs = Array.from({ length: 420 }, (_, payload) => ({ payload, jobId: `job ${payload}` }));
  await one.queue.enqueueMany('t', jobs);
  while (runs.size < 404) await clock.advance(1);
  await clock.advance(1);
  const held = (): number =>
    one.backend.topics.get('t')?.entries.filter(({ owner }) => owner !== undefined).length ?? 0;
  // More than run at once.
  expect(held()).toBeGreaterThan(4);
  two.queue.process('t', handle(1), { leaseMs: LEASE_MS });
  await seconds(clock, 3 * (LEASE_MS / 1_000));
  await seconds(clock, 20 * (stalled / 1_000));
  expect([...runs.values()].filter((times) => times > 1)).toEqual([]);
  expect(runs.size).toBe(420);
});

test('from the turn of close on nothing is started, whenever the answer of the last read comes', async () => {
  const runsOfOthers: number[] = [];
  for (let turns = 0; turns < 60; turns += 1) {
    const { one, two, clock } = await openTwo();
    let isClosing = false;
    let isLate = false;
    const consumer = one.queue.process('t', () => void (isLate ||= isClosing), SLOW);
    await seconds(clock, 1);
    const sent = two.queue.enqueue('t', 1);
    for (let turn = 0; turn < turns; turn += 1) {
      await Promise.resolve();
      if (turn % 8 === 7) await nextTurn();
    }
    isClosing = true;
    await clock.settle(Promise.all([consumer.close(), sent]));
    expect(isLate).toBe(false);
    // It is free for others at once.
    let handled = 0;
    if (one.backend.topics.get('t')?.entries.length === 0) continue;
    two.queue.process('t', () => void (handled += 1), SLOW);
    await seconds(clock, 1);
    runsOfOthers.push(handled);
  }
  expect(new Set(runsOfOthers)).toEqual(new Set([1]));
});

test('what succeeds at the deadline of closing, or a moment later, is acknowledged and does not run again', async () => {
  for (let turns = 0; turns < 120; turns += 1) {
    const { one, two, clock } = await openTwo();
    let hasSucceeded = false;
    const consumer = one.queue.process(
      't',
      async (_, { signal }) => {
        await new Promise((resolve) => {
          signal.addEventListener('abort', resolve);
        });
        for (let turn = 0; turn < turns; turn += 1) {
          await (turn % 12 === 11 ? nextTurn() : Promise.resolve());
        }
        hasSucceeded = true;
      },
      SLOW,
    );
    await one.queue.enqueue('t', 1);
    await seconds(clock, 1);
    expect(consumer.getStats().running).toBe(1);
    await clock.settle(consumer.close({ deadlineMs: 10 }));
    if (!hasSucceeded) continue;
    let again = 0;
    two.queue.process('t', () => void (again += 1), SLOW);
    await seconds(clock, 100);
    expect([turns, again]).toEqual([turns, 0]);
  }
});
