import { expect } from '@jest/globals';
import { systemClock } from '@holdfast/foundation';
import type { QueueBackend } from '../backend.ts';
import type { DeclareTest } from './guarantees.ts';
import { PARTS, delayed, fetchAll, job, publication, takeAll, untilRecovered } from './jobs.ts';

const { TOPIC, LEASE_MS } = PARTS;
const HOUR_MS = 3_600_000;

/** A store delivers jobs in order and when they are due, and respects `maxJobs`. */
export function honoursOrder(
  openUp: () => Promise<QueueBackend>,
  test: DeclareTest,
  testDeduplication: DeclareTest,
): void {
  test('jobs are delivered in the order they were published', async () => {
    const backend = await openUp();
    await backend.publish(publication({ jobs: [job(1), job(2)] }));
    await backend.publish(publication({ floor: 2, jobs: [job(3)] }));
    const taken = await takeAll(backend, 3);
    expect(taken.map(({ id }) => id)).toEqual(['job-1', 'job-2', 'job-3']);
    expect(taken[0]).toMatchObject({ deliveries: 1, enqueuedAtMs: 1_001, payload: '{"n":1}' });
  });

  test('a delayed job is delivered when it is due, behind jobs that were due before', async () => {
    const backend = await openUp();
    const publishedAtMs = systemClock.now();
    const later = delayed(job(1), 3 * LEASE_MS);
    const jobs = [later, delayed(job(2), 2 * LEASE_MS), job(3)];
    await backend.publish(publication({ jobs }));
    const consumer = backend.subscribe(TOPIC, LEASE_MS);
    const taken: string[] = [];
    while (taken.length < 3) {
      const [delivery] = await fetchAll(consumer, 1);
      if (delivery === undefined) continue;
      taken.push(delivery.id);
      // Its lease would expire before the next one is due.
      await consumer.acknowledge([delivery.handle]);
    }
    expect(taken).toEqual(['job-3', 'job-2', 'job-1']);
    // Two clocks of one machine, read to the millisecond.
    expect(systemClock.now() - publishedAtMs).toBeGreaterThan(3 * LEASE_MS - 5);
    await consumer.close();
  });

  for (const aheadMs of [HOUR_MS, -HOUR_MS]) {
    test(`a producer whose clock is off by ${aheadMs} ms does not change a job's delay`, async () => {
      const backend = await openUp();
      const dueAtMs = Math.round(systemClock.epochMs()) + aheadMs;
      const publishedAtMs = systemClock.now();
      await backend.publish(publication({ jobs: [{ ...delayed(job(1), LEASE_MS), dueAtMs }] }));
      const consumer = backend.subscribe(TOPIC, LEASE_MS);
      const [taken] = await fetchAll(consumer, 1);
      expect(taken?.id).toBe('job-1');
      expect(systemClock.now() - publishedAtMs).toBeGreaterThan(LEASE_MS - 5);
      await consumer.close();
    });
  }

  testDeduplication(
    'a topic that holds as many jobs as maxJobs allows rejects others until there is room',
    async () => {
      const backend = await openUp();
      const batch = publication({ maxJobs: 2, jobs: [job(1), job(2), job(3), job(4)] });
      expect(await backend.publish(batch)).toMatchObject({ alreadyApplied: 0, refused: 2 });
      expect(await backend.publish(batch)).toMatchObject({ alreadyApplied: 2, refused: 2 });
      expect((await takeAll(backend, 2)).map(({ id }) => id)).toEqual(['job-1', 'job-2']);
      expect(await backend.publish(batch)).toMatchObject({ alreadyApplied: 2, refused: 0 });
      expect((await takeAll(backend, 2)).map(({ id }) => id)).toEqual(['job-3', 'job-4']);
    },
  );
}

/** A store delivers each job to one consumer, for as long as that renews its lease. */
export function honoursLeases(openUp: () => Promise<QueueBackend>, test: DeclareTest): void {
  test('a job is delivered to one consumer, and removed once that consumer acknowledges it', async () => {
    const backend = await openUp();
    const [one, two] = [backend.subscribe(TOPIC, LEASE_MS), backend.subscribe(TOPIC, LEASE_MS)];
    await backend.publish(publication({ jobs: [job(1)] }));
    const [taken] = await fetchAll(one, 1);
    expect(taken).toBeDefined();
    const handle = taken?.handle ?? '';
    expect(await two.fetch(1)).toEqual([]);
    await two.acknowledge([handle]);
    expect(await one.recover([handle], 1)).toMatchObject({ deliveries: [], lost: [] });
    await one.acknowledge([handle]);
    expect(await one.recover([handle], 1)).toMatchObject({ deliveries: [], lost: [] });
    expect(await one.fetch(1)).toEqual([]);
    await Promise.all([one.close(), two.close()]);
  });

  test('a job is not reported as lost to a consumer that holds many others', async () => {
    const backend = await openUp();
    const consumer = backend.subscribe(TOPIC, LEASE_MS);
    const jobs = Array.from({ length: 20 }, (_, index) => job(index + 1));
    await backend.publish(publication({ jobs }));
    const taken = await fetchAll(consumer, jobs.length);
    const last = taken.at(-1)?.handle ?? '';
    expect((await consumer.recover([last], 0)).lost).toEqual([]);
    await consumer.close();
  });

  test('a renewed lease keeps a job with its consumer', async () => {
    const backend = await openUp();
    const [one, two] = [backend.subscribe(TOPIC, LEASE_MS), backend.subscribe(TOPIC, LEASE_MS)];
    await backend.publish(publication({ jobs: [job(1)] }));
    const [taken] = await fetchAll(one, 1);
    const handle = taken?.handle ?? '';
    const endMs = systemClock.now() + 2 * LEASE_MS;
    while (systemClock.now() < endMs) {
      expect(await one.recover([handle], 0)).toMatchObject({ deliveries: [], lost: [] });
      expect(await two.recover([], 1)).toMatchObject({ deliveries: [], lost: [] });
    }
    await Promise.all([one.close(), two.close()]);
  });
}

/** A store hands orphaned jobs over to a living consumer. */
export function honoursTakeover(openUp: () => Promise<QueueBackend>, test: DeclareTest): void {
  test('a delivery that its consumer never received is repeated as the same delivery', async () => {
    const backend = await openUp();
    const consumer = backend.subscribe(TOPIC, LEASE_MS);
    await backend.publish(publication({ jobs: [job(1)] }));
    const [taken] = await fetchAll(consumer, 1);
    const recovered = await consumer.recover([], 1);
    expect(recovered).toMatchObject({ deliveries: [taken], lost: [] });
    await consumer.close();
  });

  test('the job of a dead consumer goes to another one, and is reported as lost to the first', async () => {
    const backend = await openUp();
    const [one, two] = [backend.subscribe(TOPIC, LEASE_MS), backend.subscribe(TOPIC, LEASE_MS)];
    await backend.publish(publication({ jobs: [job(1)] }));
    const [taken] = await fetchAll(one, 1);
    if (taken === undefined) throw new Error('no job was delivered');
    const takenOver = await untilRecovered(two);
    expect(takenOver).toMatchObject([{ ...taken, deliveries: 2 }]);
    expect(await one.recover([taken.handle], 1)).toMatchObject({
      deliveries: [],
      lost: [taken.handle],
    });
    await one.acknowledge([taken.handle]);
    expect(await two.recover([taken.handle], 1)).toMatchObject({ deliveries: [], lost: [] });
    await two.acknowledge([taken.handle]);
    await Promise.all([one.close(), two.close()]);
  });
}

/** A store keeps failed jobs as dead letters, and redrives them. */
export function honoursDeadLetters(openUp: () => Promise<QueueBackend>, test: DeclareTest): void {
  test('a dead-lettered job is removed from its topic', async () => {
    const backend = await openUp();
    const consumer = backend.subscribe(TOPIC, LEASE_MS);
    await backend.publish(publication({ jobs: [job(1)] }));
    const [taken] = await fetchAll(consumer, 1);
    if (taken === undefined) throw new Error('no job was delivered');
    await consumer.deadLetter(taken, 'no luck');
    expect(await consumer.recover([], 1)).toMatchObject({ deliveries: [], lost: [] });
    expect(await consumer.fetch(1)).toEqual([]);
    await consumer.close();
  });

  test('dead letters are listed, and redriven with their ids and the reasons of their failures', async () => {
    const backend = await openUp();
    const consumer = backend.subscribe(TOPIC, LEASE_MS);
    await backend.publish(publication({ jobs: [job(1), job(2)] }));
    for (const taken of await fetchAll(consumer, 2)) await consumer.deadLetter(taken, 'no luck');
    const letter = { id: 'job-1', payload: '{"n":1}', enqueuedAtMs: 1_001, deliveries: 1 };
    const [first, second] = await backend.deadLetters(TOPIC, 10);
    expect(first).toEqual({ ...letter, reason: 'no luck', history: [] });
    expect(second).toMatchObject({ id: 'job-2' });
    expect(await backend.deadLetters(TOPIC, 1)).toHaveLength(1);
    expect(await backend.redrive(TOPIC, 10, ['job-1', 'unknown'])).toBe(1);
    const [again] = await fetchAll(consumer, 1);
    expect(again).toMatchObject({ id: 'job-1', deliveries: 1, history: ['no luck'] });
    if (again === undefined) throw new Error('no job was delivered');
    await consumer.deadLetter(again, 'again no luck');
    const letters = await backend.deadLetters(TOPIC, 10);
    expect(letters).toMatchObject([
      { id: 'job-2', history: [] },
      { id: 'job-1', history: ['no luck'] },
    ]);
    expect(await backend.redrive(TOPIC, 10)).toBe(2);
    expect(await backend.deadLetters(TOPIC, 10)).toEqual([]);
    const redriven = await fetchAll(consumer, 2);
    expect(redriven).toMatchObject([
      { id: 'job-2', history: ['no luck'] },
      { id: 'job-1', history: ['no luck', 'again no luck'] },
    ]);
    await consumer.close();
  });
}
