import { describe, expect, test } from '@jest/globals';
import { createMemoryBackend, createQueueOn } from '@holdfast/queue';
import { honoursBackendContract, honoursQueueContract } from '@holdfast/queue/contract';
import { nextEvent, systemClock } from '@holdfast/foundation';
import { FakeBackend } from './fake/fake-backend.ts';
import { openTestQueue } from './open-queue.ts';

/**
 * The fake stands for the streams, and records operations without applying them; what is shared beside the streams is
 * tested with the memory backend and with Redis.
 */
const FAKE_LACKS = [
  'operations',
  'full-control',
  'outcomes',
  'schedules',
  'limits',
  'debounce',
  'expiry',
] as const;

describe('the fake backend', () => {
  honoursBackendContract(
    async () => {
      const backend = new FakeBackend();
      backend.up();
      return { backend, close: () => backend.close() };
    },
    { without: FAKE_LACKS },
  );
});

describe('the memory backend', () => {
  honoursBackendContract(async () => {
    const backend = createMemoryBackend();
    return { backend, close: () => backend.close() };
  });
});

describe('the queue on the memory backend', () => {
  honoursQueueContract(async (options) => {
    const queue = createQueueOn(createMemoryBackend(), options);
    return { queue, close: () => queue.close() };
  });
});

test('when a memory backend is full, further jobs wait in the fallback, and the state tells it', async () => {
  const queue = createQueueOn(createMemoryBackend({ maxJobs: 2 }));
  await queue.ready();
  await queue.enqueueMany('t', [{ payload: 1 }, { payload: 2 }]);
  expect(queue.getStats()).toMatchObject({ state: 'direct', acceptedByRedis: 2 });
  await queue.enqueue('t', 3);
  expect(queue.getStats()).toMatchObject({ errorClass: 'busy', backlog: { jobs: 1 } });
  const drained = nextEvent(queue, 'drained');
  const handled: unknown[] = [];
  queue.process('t', ({ payload }) => void handled.push(payload), { concurrency: 1 });
  await drained;
  await queue.close();
  expect(handled.slice(0, 2)).toEqual([1, 2]);
});

describe('the queue on the fake backend', () => {
  honoursQueueContract(
    async (options) => {
      const { queue, backend } = openTestQueue({ ...options, clock: systemClock });
      backend.up();
      return { queue, close: () => queue.close() };
    },
    { without: FAKE_LACKS },
  );
});

test('an operation that the store does not have is refused, and changes nothing', async () => {
  const { queue, backend } = openTestQueue({ clock: systemClock });
  backend.up();
  await queue.ready();
  const refused = expect.objectContaining({ code: 'QUEUE_OPERATION_UNSUPPORTED' });
  await expect(queue.pause('t')).rejects.toEqual(refused);
  await expect(queue.isPaused('t')).rejects.toEqual(refused);
  await expect(queue.purge('t')).rejects.toEqual(refused);
  expect(queue.getStats()).toMatchObject({ acceptedByRedis: 0, pending: 0 });
  await queue.close();
  await expect(queue.resume('t')).rejects.toMatchObject({ code: 'QUEUE_CLOSED' });
});

test('a queue on a store without outcomes refuses to keep results and to ask for them', async () => {
  const { queue, backend } = openTestQueue({ clock: systemClock });
  backend.up();
  await queue.ready();
  const refusal = (operation: string): unknown =>
    expect.objectContaining({ code: 'QUEUE_OPERATION_UNSUPPORTED', operation });
  expect(() => queue.process('t', () => 1, { keepResults: true })).toThrow(refusal('keepResults'));
  await expect(queue.result('t', 'a')).rejects.toEqual(refusal('result'));
  await expect(queue.progress('t', 'a')).rejects.toEqual(refusal('progress'));
  const reported = Promise.withResolvers<boolean>();
  queue.process('t', (job) => reported.resolve(job.progress(1)));
  await queue.enqueue('t', 1);
  expect(await reported.promise).toBe(false);
  await queue.close();
});

test('an operation that the store does not have is refused, and changes nothing', async () => {
  const { queue, backend } = openTestQueue({ clock: systemClock });
  backend.up();
  await queue.ready();
  const refused = expect.objectContaining({ code: 'QUEUE_OPERATION_UNSUPPORTED' });
  await expect(queue.pause('t')).rejects.toEqual(refused);
  await expect(queue.isPaused('t')).rejects.toEqual(refused);
  await expect(queue.purge('t')).rejects.toEqual(refused);
  expect(queue.getStats()).toMatchObject({ acceptedByRedis: 0, pending: 0 });
  await queue.close();
  await expect(queue.resume('t')).rejects.toMatchObject({ code: 'QUEUE_CLOSED' });
});
