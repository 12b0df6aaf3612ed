import { afterEach, expect, test } from '@jest/globals';
import { systemClock } from '@holdfast/foundation';
import type { QueueBackend } from '../backend.ts';
import { PARTS, fetchAll, job, publication, takeAll, untilRecovered } from './jobs.ts';
import { honoursDeduplication } from './deduplication.ts';
import { honoursPrioritiesAndKeys } from './priorities-and-keys.ts';
import { type StoreGuarantee, testsWithout } from './guarantees.ts';

/** A backend whose server is up, and what closes both. */
export interface OpenBackend {
  readonly backend: QueueBackend;
  close(): Promise<void>;
}

const { TOPIC, LEASE_MS } = PARTS;

/**
 * What a store owes the queue: each job applied once by (owner, epoch, sequence), marks only ever raised,
 * former owners fenced, leases that only their holder can end. Every backend's test is this call.
 * @param options.without what it does not promise; the tests of that are left out by name.
 */
export function honoursBackendContract(
  open: () => Promise<OpenBackend>,
  { without = [] }: { without?: readonly StoreGuarantee[] } = {},
): void {
  const testWith = testsWithout(without);
  const opened: OpenBackend[] = [];
  const openUp = async (): Promise<QueueBackend> => {
    const one = await open();
    opened.push(one);
    await one.backend.whenConnected(new AbortController().signal);
    return one.backend;
  };
  afterEach(async () => {
    await Promise.all(opened.splice(0).map((one) => one.close()));
  });

  test('jobs are handed out in the order they were published', async () => {
    const backend = await openUp();
    await backend.publish(publication({ jobs: [job(1), job(2)] }));
    await backend.publish(publication({ floor: 2, jobs: [job(3)] }));
    const taken = await takeAll(backend, 3);
    expect(taken.map(({ id }) => id)).toEqual(['job-1', 'job-2', 'job-3']);
    expect(taken[0]).toMatchObject({ deliveries: 1, enqueuedAtMs: 1_001, payload: '{"n":1}' });
  });

  testWith('deduplication', 'a publication that is sent again adds only what is new', async () => {
    const backend = await openUp();
    const receipt = await backend.publish(publication({ jobs: [job(1), job(2)] }));
    expect(receipt).toEqual({ remembered: 0, alreadyApplied: 0, duplicates: [], refused: 0 });
    const again = await backend.publish(publication({ jobs: [job(1), job(2), job(3)] }));
    expect(again).toEqual({ remembered: 2, alreadyApplied: 2, duplicates: [], refused: 0 });
    expect((await takeAll(backend, 3)).map(({ id }) => id)).toEqual(['job-1', 'job-2', 'job-3']);
  });

  testWith(
    'deduplication',
    'a mark is raised to what the producer has settled, and never lowered',
    async () => {
      const backend = await openUp();
      const raised = await backend.publish(publication({ floor: 7, jobs: [] }));
      expect(raised.remembered).toBe(0);
      await backend.publish(publication({ floor: 3, jobs: [] }));
      const late = await backend.publish(publication({ floor: 4, jobs: [job(5), job(7), job(9)] }));
      expect(late).toMatchObject({ remembered: 7, alreadyApplied: 2 });
      expect((await takeAll(backend, 1)).map(({ id }) => id)).toEqual(['job-9']);
    },
  );

  testWith(
    'deduplication',
    'jobs that follow others the store has forgotten are refused until those were sent again',
    async () => {
      const backend = await openUp();
      const gap = publication({ floor: 1, previous: 3, jobs: [job(4)] });
      await expect(backend.publish(gap)).rejects.toMatchObject({ errorClass: 'busy' });
      await backend.publish(publication({ floor: 1, jobs: [job(2), job(3)] }));
      expect(await backend.publish(gap)).toMatchObject({ remembered: 3, alreadyApplied: 0 });
      expect((await takeAll(backend, 3)).map(({ id }) => id)).toEqual(['job-2', 'job-3', 'job-4']);
    },
  );

  testWith(
    'deduplication',
    'a later owner drains an earlier one’s jobs, starts its own numbering, and fences the earlier',
    async () => {
      const backend = await openUp();
      await backend.publish(publication({ jobs: [job(1)] }));
      const drained = await backend.publish(publication({ ownerEpoch: 2, jobs: [job(1), job(2)] }));
      expect(drained.alreadyApplied).toBe(1);
      const own = { ownerEpoch: 2, originEpoch: 2 };
      expect(await backend.publish(publication({ ...own, jobs: [job(1, 'own-1')] }))).toMatchObject(
        {
          remembered: 0,
          alreadyApplied: 0,
        },
      );
      await expect(backend.publish(publication({ jobs: [job(3)] }))).rejects.toMatchObject({
        errorClass: 'fenced',
      });
      const late = await backend.publish(publication({ ownerEpoch: 2, jobs: [job(2), job(3)] }));
      expect(late.alreadyApplied).toBe(2);
      expect((await takeAll(backend, 3)).map(({ id }) => id)).toEqual(['job-1', 'job-2', 'own-1']);
    },
  );

  honoursDeduplication(openUp, testWith);

  testWith('deduplication', 'producers do not share their numbering', async () => {
    const backend = await openUp();
    await backend.publish(publication({ jobs: [job(1)] }));
    const other = await backend.publish(
      publication({ producer: 'other', jobs: [job(1, 'other-1')] }),
    );
    expect(other).toEqual({ remembered: 0, alreadyApplied: 0, duplicates: [], refused: 0 });
  });

  testWith(
    'deduplication',
    'of several jobs with one id of the caller’s choice the first is kept',
    async () => {
      const backend = await openUp();
      const unique = { id: 'mine', unique: true };
      const first = { ...job(1), ...unique };
      const receipt = await backend.publish(
        publication({ jobs: [first, job(2), { ...job(3), ...unique }] }),
      );
      expect(receipt).toEqual({
        remembered: 0,
        alreadyApplied: 0,
        duplicates: ['mine'],
        refused: 0,
      });
      const again = await backend.publish(
        publication({ producer: 'other', jobs: [{ ...job(1), ...unique }, job(2, 'other-2')] }),
      );
      expect(again.duplicates).toEqual(['mine']);
      const taken = await takeAll(backend, 3);
      expect(taken.map(({ id }) => id)).toEqual(['mine', 'job-2', 'other-2']);
    },
  );

  test('a job is handed to one consumer, and gone once that one acknowledges it', async () => {
    const backend = await openUp();
    const [one, two] = [backend.subscribe(TOPIC, LEASE_MS), backend.subscribe(TOPIC, LEASE_MS)];
    await backend.publish(publication({ jobs: [job(1)] }));
    const [taken] = await fetchAll(one, 1);
    expect(taken).toBeDefined();
    const handle = taken?.handle ?? '';
    expect(await two.fetch(1)).toEqual([]);
    await two.acknowledge([handle]);
    expect(await one.recover([handle], 1)).toEqual({ deliveries: [], lost: [] });
    await one.acknowledge([handle]);
    expect(await one.recover([handle], 1)).toEqual({ deliveries: [], lost: [] });
    expect(await one.fetch(1)).toEqual([]);
    await Promise.all([one.close(), two.close()]);
  });

  testWith(
    'takeover',
    'a delivery its consumer never saw is handed out again as the same delivery',
    async () => {
      const backend = await openUp();
      const consumer = backend.subscribe(TOPIC, LEASE_MS);
      await backend.publish(publication({ jobs: [job(1)] }));
      const [taken] = await fetchAll(consumer, 1);
      const recovered = await consumer.recover([], 1);
      expect(recovered).toEqual({ deliveries: [taken], lost: [] });
      await consumer.close();
    },
  );

  testWith(
    'takeover',
    'the job of a silent consumer goes to another one, and the first is told that it lost it',
    async () => {
      const backend = await openUp();
      const [one, two] = [backend.subscribe(TOPIC, LEASE_MS), backend.subscribe(TOPIC, LEASE_MS)];
      await backend.publish(publication({ jobs: [job(1)] }));
      const [taken] = await fetchAll(one, 1);
      if (taken === undefined) throw new Error('nothing was taken');
      const takenOver = await untilRecovered(two);
      expect(takenOver).toEqual([{ ...taken, deliveries: 2 }]);
      expect(await one.recover([taken.handle], 1)).toEqual({
        deliveries: [],
        lost: [taken.handle],
      });
      await one.acknowledge([taken.handle]);
      expect(await two.recover([taken.handle], 1)).toEqual({ deliveries: [], lost: [] });
      await two.acknowledge([taken.handle]);
      await Promise.all([one.close(), two.close()]);
    },
  );

  test('a job is not lost to a consumer that has many others which it does not ask about', async () => {
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
      expect(await one.recover([handle], 0)).toEqual({ deliveries: [], lost: [] });
      expect(await two.recover([], 1)).toEqual({ deliveries: [], lost: [] });
    }
    await Promise.all([one.close(), two.close()]);
  });

  test('a delayed job is handed out when it is due, behind those that were due before', async () => {
    const backend = await openUp();
    const dueAtMs = Math.round(systemClock.epochMs()) + 2 * LEASE_MS;
    const later = { ...job(1), dueAtMs: dueAtMs + LEASE_MS };
    await backend.publish(publication({ jobs: [later, { ...job(2), dueAtMs }, job(3)] }));
    const consumer = backend.subscribe(TOPIC, LEASE_MS);
    const taken: string[] = [];
    while (taken.length < 3) {
      const [delivery] = await fetchAll(consumer, 1);
      if (delivery === undefined) continue;
      taken.push(delivery.id);
      // Its lease would be over before the next one is due.
      await consumer.acknowledge([delivery.handle]);
    }
    expect(taken).toEqual(['job-3', 'job-2', 'job-1']);
    // Two clocks of one machine, read to the millisecond.
    expect(systemClock.epochMs()).toBeGreaterThan(dueAtMs + LEASE_MS - 5);
    await consumer.close();
  });

  testWith(
    'deduplication',
    'a topic that holds as many jobs as it may refuses the others, and takes them when there is room',
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

  test('a buried job is gone from its topic', async () => {
    const backend = await openUp();
    const consumer = backend.subscribe(TOPIC, LEASE_MS);
    await backend.publish(publication({ jobs: [job(1)] }));
    const [taken] = await fetchAll(consumer, 1);
    if (taken === undefined) throw new Error('nothing was taken');
    await consumer.deadLetter(taken, 'no luck');
    expect(await consumer.recover([], 1)).toEqual({ deliveries: [], lost: [] });
    expect(await consumer.fetch(1)).toEqual([]);
    await consumer.close();
  });

  test('dead letters are listed, and become jobs again with their ids and the reasons of their failures', async () => {
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
    if (again === undefined) throw new Error('nothing was taken');
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

  honoursPrioritiesAndKeys(openUp, testWith);
}
