import { describe, expect, jest, test } from '@jest/globals';
import { type Job, createQueueOn } from '@holdfast/queue';
import { createBullmqBackend } from '@holdfast/queue/bullmq';
import {
  type StoreGuarantee,
  honoursBackendContract,
  honoursQueueContract,
} from '@holdfast/queue/contract';
import { AOF_NO_FSYNC, openRedisFixture } from '../../../src/redis-fixture.ts';
import { Ledger } from '../../../src/ledger.ts';
import { TOPIC, untilDirect } from '../../../src/outage.ts';
import { waitUntil } from '../../../src/wait-until.ts';

const HOUR_MS = 3_600_000;

/** BullMQ has no sequence marks and no keys, requeues stalled jobs itself, has strict priorities; its outcomes are its own. */
/** BullMQ has no sequence marks, no keys and no windows, requeues stalled jobs itself, and has strict priorities. */
const without: readonly StoreGuarantee[] = [
  'deduplication',
  'keys',
  'takeover',
  'fairness',
  'full-control',
  'outcomes',
  'debounce',
];

const silent = {
  connected: () => undefined,
  attemptFailed: () => undefined,
  disconnected: () => undefined,
};

describe('BullMQ as a backend', () => {
  honoursBackendContract(
    async () => {
      const fixture = await openRedisFixture({});
      const backend = createBullmqBackend({ redis: fixture.server });
      backend.open(silent);
      return {
        backend,
        async close() {
          await backend.close();
          await fixture.close();
        },
      };
    },
    { without },
  );

  test('a job sent again while BullMQ remembers its id is not added again', async () => {
    const fixture = await openRedisFixture({});
    const backend = createBullmqBackend({ redis: fixture.server });
    backend.open(silent);
    try {
      await backend.whenConnected(new AbortController().signal);
      const marks = { ownerEpoch: 1, originEpoch: 1, floor: 0, previous: 0 };
      const job = { id: 'a', unique: false, enqueuedAtMs: 1, dueAtMs: 0, payload: '1' };
      const jobs = [
        { ...job, sequence: 1 },
        { ...job, sequence: 2, id: 'b', unique: true },
        { ...job, sequence: 3, id: 'b', unique: true },
      ];
      const publication = { topic: TOPIC, producer: 'p', ...marks, jobs };
      await backend.publish(publication);
      await backend.publish(publication);
      expect(await backend.count(TOPIC)).toMatchObject({ waiting: 2 });
      const consumer = backend.subscribe(TOPIC, 1_000);
      const taken = await consumer.fetch(10);
      expect(taken.map(({ id }) => id)).toEqual(['a', 'b']);
      await consumer.acknowledge(taken.map(({ handle }) => handle));
      await backend.publish(publication);
      expect(await consumer.fetch(10)).toEqual([]);
      const keyed = { ...publication, jobs: [{ ...job, sequence: 4, routing: '7' }] };
      expect(await backend.publish(keyed)).toMatchObject({ poison: { sequence: 4 } });
      await consumer.close();
    } finally {
      await backend.close();
      await fixture.close();
    }
  });

  test('another consumer fetches the job of a consumer that stopped responding', async () => {
    const fixture = await openRedisFixture({});
    const backend = createBullmqBackend({ redis: fixture.server });
    backend.open(silent);
    try {
      await backend.whenConnected(new AbortController().signal);
      const marks = { ownerEpoch: 1, originEpoch: 1, floor: 0, previous: 0 };
      const job = {
        sequence: 1,
        id: 'a',
        unique: false,
        enqueuedAtMs: 1,
        dueAtMs: 0,
        payload: '1',
      };
      await backend.publish({ topic: TOPIC, producer: 'p', ...marks, jobs: [job] });
      const [dying, living] = [backend.subscribe(TOPIC, 300), backend.subscribe(TOPIC, 300)];
      const [taken] = await dying.fetch(1);
      // Its handler still runs, as far as the store knows: the lease expires.
      await dying.close([taken?.handle ?? '']);
      let again = await living.fetch(1);
      while (again.length === 0) again = await living.fetch(1);
      expect(again).toMatchObject([{ id: 'a', handle: taken?.handle, deliveries: 2 }]);
      await living.close();
    } finally {
      await backend.close();
      await fixture.close();
    }
  });
});

test('on BullMQ, a wall clock that is set back does not delay a retry', async () => {
  const fixture = await openRedisFixture({});
  const epochMs = jest.spyOn(Date, 'now');
  const queue = createQueueOn(createBullmqBackend({ redis: fixture.server }));
  try {
    await queue.ready();
    const runs: unknown[] = [];
    const handle = ({ payload, attempt }: Job): void => {
      runs.push(payload);
      if (attempt === 1 && payload === 'fails') throw new Error('at first');
    };
    queue.process(TOPIC, handle, { retryDelayMs: 600 });
    await queue.enqueue(TOPIC, 'fails');
    await waitUntil(async () => (await queue.inspect(TOPIC).counts()).delayed === 1);
    // BullMQ promotes by this clock.
    const realMs = performance.timeOrigin;
    epochMs.mockImplementation(() => Math.round(realMs + performance.now() - HOUR_MS));
    await waitUntil(() => runs.length === 2);
    expect(runs).toEqual(['fails', 'fails']);
  } finally {
    epochMs.mockRestore();
    await queue.close({ deadlineMs: 1_000 }).catch(() => undefined);
    await fixture.close();
  }
});

describe('the queue on BullMQ', () => {
  honoursQueueContract(
    async (options) => {
      const fixture = await openRedisFixture({});
      const queue = createQueueOn(createBullmqBackend({ redis: fixture.server }), options);
      return {
        queue,
        async close() {
          await queue.close({ deadlineMs: 1_000 }).catch(() => undefined);
          await fixture.close();
        },
      };
    },
    { without },
  );
});

test('while Redis is killed the queue on BullMQ accepts jobs into its journal, and loses and duplicates none', async () => {
  const fixture = await openRedisFixture(AOF_NO_FSYNC);
  try {
    const queue = createQueueOn(createBullmqBackend({ redis: fixture.server }), {
      fallback: { journal: { directory: await fixture.directory() } },
    });
    const ledger = new Ledger();
    await queue.ready();
    queue.process(TOPIC, ({ payload }) => ledger.delivered(Number(payload)), { concurrency: 1 });
    const offer = async (from: number, to: number): Promise<void> => {
      for (let job = from; job <= to; job += 1) {
        ledger.accepted(job, (await queue.enqueue(TOPIC, job)).accepted);
      }
    };
    await offer(1, 50);
    await fixture.redis.kill();
    await offer(51, 150);
    expect(ledger.acceptedBy('journal').length).toBeGreaterThanOrEqual(100);
    const direct = untilDirect(queue);
    await fixture.redis.start();
    await direct;
    await offer(151, 200);
    await ledger.settled(60_000);
    const { lost, duplicated } = ledger.verdict();
    expect({ lost, duplicated }).toEqual({ lost: [], duplicated: [] });
    await queue.close({ deadlineMs: 1_000 });
  } finally {
    await fixture.close();
  }
});
