import { afterEach, expect, test } from '@jest/globals';
import { nextEvent } from '@holdfast/foundation';
import { memoryLedger } from '../../src/ledger/memory-ledger.ts';
import type { Handler, Job, ProcessOptions } from '../../src/queue.ts';
import { hand } from '../fake/fake-topic.ts';
import { type TestQueue, openTestQueue } from '../open-queue.ts';

const opened: TestQueue[] = [];

afterEach(async () => {
  for (const { queue, clock } of opened.splice(0)) {
    await clock.settle(queue.close({ deadlineMs: 1 }).catch(() => undefined));
    expect(clock.pendingTimers).toBe(0);
  }
});

async function openUp(): Promise<TestQueue> {
  const opening = openTestQueue();
  opened.push(opening);
  opening.backend.up();
  await opening.queue.ready();
  return opening;
}

/** Collects jobs; `reached(n)` resolves when the n-th has arrived. */
function collector(): {
  take: (job: Job) => void;
  jobs: Job[];
  reached: (count: number) => Promise<void>;
} {
  const jobs: Job[] = [];
  const awaited = new Map<number, () => void>();
  return {
    jobs,
    take(job) {
      jobs.push(job);
      awaited.get(jobs.length)?.();
    },
    reached: (count) =>
      jobs.length >= count
        ? Promise.resolve()
        : new Promise((resolve) => {
            awaited.set(count, resolve);
          }),
  };
}

test('a job reaches its handler with id, topic, payload, attempt and time', async () => {
  const { queue, clock } = await openUp();
  const { take, jobs, reached } = collector();
  const enqueuedAtMs = clock.epochMs();
  queue.process('mail', take);
  await queue.enqueue('mail', { to: 'ada' }, { jobId: 'a' });
  await clock.settle(reached(1));
  expect(jobs).toEqual([
    { id: 'a', topic: 'mail', payload: { to: 'ada' }, attempt: 1, enqueuedAtMs },
  ]);
});

test('with concurrency 1, jobs are handled in the order they were enqueued', async () => {
  const { queue, clock } = await openUp();
  const { take, jobs, reached } = collector();
  for (let n = 0; n < 50; n += 1) await queue.enqueue('t', n);
  queue.process('t', take, { concurrency: 1 });
  await clock.settle(reached(50));
  expect(jobs.map(({ payload }) => payload)).toEqual(Array.from({ length: 50 }, (_, n) => n));
});

test('jobs delivered on a lost connection are handled before later ones, however many they are', async () => {
  const { queue, backend, clock } = await openUp();
  const { take, jobs, reached } = collector();
  queue.process('t', take, { concurrency: 1 });
  await clock.advance(10);
  backend.down();
  const producer = openTestQueue({}, backend);
  opened.push(producer);
  producer.backend.up();
  await producer.queue.ready();
  for (let n = 0; n < 8; n += 1) await producer.clock.settle(producer.queue.enqueue('t', n));
  // A read on the lost connection is executed late.
  for (const entry of backend.topics.get('t')?.entries.slice(0, 3) ?? []) {
    hand(entry, 'consumer-1', 0);
  }
  backend.up();
  await clock.settle(reached(8));
  expect(jobs.map(({ payload }) => payload)).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
});

test('no more handlers run at once than concurrency allows', async () => {
  const { queue, clock } = await openUp();
  let running = 0;
  let most = 0;
  const { take, reached } = collector();
  queue.process(
    't',
    async (job) => {
      running += 1;
      most = Math.max(most, running);
      await new Promise(setImmediate);
      running -= 1;
      take(job);
    },
    { concurrency: 3 },
  );
  await Promise.all(Array.from({ length: 20 }, (_, n) => queue.enqueue('t', n)));
  await clock.settle(reached(20));
  expect(most).toBe(3);
});

test('a failed job is retried after a growing delay, then dead-lettered with its reason', async () => {
  const { queue, backend, clock } = await openUp();
  const attemptsAtMs: number[] = [];
  queue.process(
    't',
    ({ attempt }) => {
      attemptsAtMs.push(clock.now());
      throw new Error(`no luck at attempt ${attempt}`);
    },
    { maxAttempts: 3, retryDelayMs: 1_000 },
  );
  const buried = nextEvent(queue, 'dead-lettered');
  await queue.enqueue('t', 1, { jobId: 'doomed' });
  await expect(clock.settle(buried)).resolves.toMatchObject({
    id: 'doomed',
    attempts: 3,
    reason: 'Error: no luck at attempt 3',
  });
  const [first = 0, second = 0, third = 0] = attemptsAtMs;
  expect(second - first).toBeGreaterThanOrEqual(900);
  expect(third - second).toBeGreaterThanOrEqual(1_800);
  await clock.advance(10);
  expect(backend.dead).toEqual([{ id: 'doomed', reason: 'Error: no luck at attempt 3' }]);
  expect(backend.topics.get('t')?.entries).toEqual([]);
});

test('a job that fails once is handled at the second attempt', async () => {
  const { queue, clock } = await openUp();
  const { take, jobs, reached } = collector();
  queue.process('t', (job) => {
    if (job.attempt === 1) throw new Error('not yet');
    take(job);
  });
  await queue.enqueue('t', 1);
  await clock.settle(reached(1));
  expect(jobs[0]?.attempt).toBe(2);
});

test('a job handled while the server is down is acknowledged later and does not run again', async () => {
  const { queue, backend, clock } = await openUp();
  let runs = 0;
  const release: (() => void)[] = [];
  const started = new Promise<void>((tell) => {
    queue.process('t', async () => {
      runs += 1;
      tell();
      await new Promise<void>((resolve) => release.push(resolve));
    });
  });
  await queue.enqueue('t', 1);
  await clock.settle(started);
  backend.down();
  release[0]?.();
  await clock.advance(5_000);
  expect(backend.topics.get('t')?.entries).toHaveLength(1);
  backend.up();
  await clock.advance(5_000);
  expect(backend.topics.get('t')?.entries).toEqual([]);
  expect(runs).toBe(1);
});

test('a job whose acknowledgement the server has lost does not run again', async () => {
  const { queue, backend, clock } = await openUp();
  const { take, jobs, reached } = collector();
  const consumer = queue.process('t', take);
  await queue.enqueue('t', 1);
  await clock.settle(reached(1));
  await clock.advance(10);
  expect(backend.topics.get('t')?.entries).toEqual([]);
  const redelivered = nextEvent(queue, 'redelivered');
  backend.remember('t');
  await expect(clock.settle(redelivered)).resolves.toMatchObject({ topic: 't', id: jobs[0]?.id });
  await clock.advance(10);
  expect(jobs).toHaveLength(1);
  expect(consumer.getStats()).toMatchObject({ handled: 1, redelivered: 1 });
  expect(backend.topics.get('t')?.entries).toEqual([]);
});

test('the signal of a handler is aborted when its lease goes to another consumer', async () => {
  const { queue, backend, clock } = await openUp();
  const aborted = new Promise<unknown>((resolve) => {
    queue.process('t', (_, { signal }) => {
      return new Promise<void>((_resolve, reject) => {
        signal.addEventListener('abort', () => {
          resolve(signal.reason);
          reject(signal.reason);
        });
      });
    });
  });
  await queue.enqueue('t', 1);
  await clock.advance(10);
  backend.steal('t');
  await expect(clock.settle(aborted)).resolves.toMatchObject({
    message: 't: the lease went to another consumer',
  });
});

test('closing waits for running handlers, and aborts them when the deadline has passed', async () => {
  const { queue, backend, clock } = await openUp();
  const started = new Promise<void>((tell) => {
    queue.process('t', (_, { signal }) => {
      tell();
      return new Promise<void>((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason));
      });
    });
  });
  await queue.enqueue('t', 1);
  await clock.settle(started);
  const closed = queue.close({ deadlineMs: 1_000 });
  await clock.advance(999);
  expect(backend.topics.get('t')?.entries).toHaveLength(1);
  await clock.settle(closed);
  expect(backend.topics.get('t')?.entries).toHaveLength(1);
});

test('no more jobs are started per second than maxPerSecond allows', async () => {
  const { queue, clock } = await openUp();
  const begunAtMs: number[] = [];
  const { take, reached } = collector();
  queue.process(
    't',
    (job) => {
      begunAtMs.push(clock.now());
      take(job);
    },
    { maxPerSecond: 10 },
  );
  await Promise.all(Array.from({ length: 20 }, (_, n) => queue.enqueue('t', n)));
  await clock.settle(reached(20));
  const [first = 0] = begunAtMs;
  expect((begunAtMs.at(-1) ?? 0) - first).toBeGreaterThanOrEqual(1_800);
});

test('a job that the ledger knows is acknowledged without running its handler', async () => {
  const { queue, backend, clock } = await openUp();
  const ledger = memoryLedger();
  await ledger.once({ topic: 't', id: 'known' }, async () => undefined);
  const { take, jobs, reached } = collector();
  const consumer = queue.process('t', take, { ledger });
  const redelivered = nextEvent(queue, 'redelivered');
  await queue.enqueue('t', 1, { jobId: 'known' });
  await queue.enqueue('t', 2, { jobId: 'new' });
  await clock.settle(Promise.all([redelivered, reached(1)]));
  await clock.advance(10);
  expect(jobs.map(({ id }) => id)).toEqual(['new']);
  expect(consumer.getStats()).toMatchObject({ handled: 1, redelivered: 1 });
  expect(backend.topics.get('t')?.entries).toEqual([]);
});

const MISFITS: Record<keyof ProcessOptions | 'ledger' | 'retries', unknown> = {
  name: '',
  ledger: {},
  maxPerSecond: 0,
  concurrency: 0,
  maxAttempts: 1.5,
  maxCrashes: 0,
  whenExhausted: 'drop',
  retryDelayMs: 0,
  retry: 'never',
  timeoutMs: 0,
  leaseMs: 299,
  maxRememberedJobs: -1,
  retries: 3,
};

/** The type requires one for each option; the last one is unknown. */
test.each(Object.entries(MISFITS))('%s: %j is rejected by process', async (field, value) => {
  const { queue } = await openUp();
  // What is in an unknown field may be a secret.
  const shown = field === 'retries' ? '***' : value;
  expect(() => queue.process('t', () => undefined, { [field]: value })).toThrow(
    expect.objectContaining({ code: 'INVALID_OPTION', field, value: shown }),
  );
});

test.each([[undefined], ['send'], [{}]])(
  'the handler %j is refused, before a job can fail on it',
  async (handler) => {
    const { queue } = await openUp();
    const process = (given: Handler): unknown => queue.process('t', given);
    expect(() => Reflect.apply(process, undefined, [handler])).toThrow(
      expect.objectContaining({ code: 'INVALID_OPTION', field: 'handler', value: handler }),
    );
  },
);

test.each<[object, string]>([
  [{ deadlineMs: -1 }, 'deadlineMs'],
  [{ deadlineMs: '1s' }, 'deadlineMs'],
  [{ timeoutMs: 1 }, 'timeoutMs'],
])('queue and consumer refuse to close with %j, and stay open', async (options, field) => {
  const { queue, clock } = await openUp();
  const { take, reached } = collector();
  const consumer = queue.process('t', take);
  const refusal: unknown = expect.objectContaining({ code: 'INVALID_OPTION', field });
  await expect(consumer.close(options)).rejects.toEqual(refusal);
  await expect(queue.close(options)).rejects.toEqual(refusal);
  await queue.enqueue('t', 1);
  await clock.settle(reached(1));
});

test('a handler that throws an object without a prototype is reported like any other', async () => {
  const { queue, backend, clock } = await openUp();
  const buried = nextEvent(queue, 'dead-lettered');
  queue.process(
    't',
    () => {
      throw Object.create(null);
    },
    { maxAttempts: 1 },
  );
  await clock.settle(queue.enqueue('t', 1));
  const reason = 'the handler threw an object that has no text';
  await expect(clock.settle(buried)).resolves.toMatchObject({ reason, attempts: 1 });
  while (backend.dead.length === 0) await clock.advance(10);
  expect(backend.dead).toMatchObject([{ reason }]);
});
