import { expect } from '@jest/globals';
import { systemClock } from '@holdfast/foundation';
import type { Delivery, PublishedJob, QueueBackend, Subscription } from '../backend.ts';
import { PARTS, delayed, fetchAll, job, publication, takeAll, untilRecovered } from './jobs.ts';
import type { DeclareTest } from './guarantees.ts';

const { TOPIC, LEASE_MS } = PARTS;
const HOUR_MS = 3_600_000;

/** Hashes of keys: with two partitions, 2 and 4 share one, and 3 is in the other. */
const KEY = { one: '2', other: '3', another: '4' };

const routed = (sequence: number, routing: string): PublishedJob => ({ ...job(sequence), routing });

/** Subscribes a consumer that fetches as many jobs as it can get. */
async function takeHeads(
  backend: QueueBackend,
  count: number,
): Promise<{ consumer: Subscription; heads: Delivery[] }> {
  const consumer = backend.subscribe(TOPIC, LEASE_MS);
  const heads = await fetchAll(consumer, count);
  return { consumer, heads };
}

const ids = (jobs: readonly { id: string }[]): string[] => jobs.map(({ id }) => id);

/** A store delivers the jobs of a partition one at a time. */
export function honoursPartitions(openUp: () => Promise<QueueBackend>, test: DeclareTest): void {
  test('a partition delivers one job, and the next one when that one is settled', async () => {
    const backend = await openUp();
    const jobs = [routed(1, KEY.one), routed(2, KEY.another), routed(3, KEY.one), job(4)];
    await backend.publish(publication({ partitions: 2, jobs }));
    const { consumer, heads } = await takeHeads(backend, 2);
    expect(ids(heads).toSorted()).toEqual(['job-1', 'job-4']);
    const second = backend.subscribe(TOPIC, LEASE_MS * 100);
    await second.whenConnected(new AbortController().signal);
    expect(await second.fetch(10)).toEqual([]);
    expect(await consumer.fetch(10)).toEqual([]);
    await consumer.acknowledge(heads.map(({ handle }) => handle));
    const [next] = await fetchAll(second, 1);
    expect(next).toMatchObject({ id: 'job-2', payload: '{"n":2}', enqueuedAtMs: 1_002 });
    expect(await consumer.fetch(10)).toEqual([]);
    if (next === undefined) throw new Error('no job was delivered');
    await second.deadLetter(next, 'no luck');
    expect(ids(await fetchAll(consumer, 1))).toEqual(['job-3']);
    await Promise.all([consumer.close(), second.close()]);
  });

  test('partitions are delivered concurrently', async () => {
    const backend = await openUp();
    const jobs = [
      routed(1, KEY.one),
      routed(2, KEY.one),
      routed(3, KEY.other),
      routed(4, KEY.other),
    ];
    await backend.publish(publication({ partitions: 2, jobs }));
    const { consumer, heads } = await takeHeads(backend, 2);
    expect(ids(heads).toSorted()).toEqual(['job-1', 'job-3']);
    await consumer.close();
  });

  test('the job of a dead consumer is delivered to another one before the jobs behind it', async () => {
    const backend = await openUp();
    await backend.publish(
      publication({ partitions: 2, jobs: [routed(1, KEY.one), routed(2, KEY.one)] }),
    );
    const { consumer: dead, heads } = await takeHeads(backend, 1);
    const other = backend.subscribe(TOPIC, LEASE_MS);
    const [taken] = heads;
    expect(await untilRecovered(other)).toMatchObject([{ ...taken, deliveries: 2 }]);
    const handle = taken?.handle ?? '';
    expect(await dead.recover([handle], 1)).toMatchObject({ deliveries: [], lost: [handle] });
    await dead.acknowledge([handle]);
    expect(await other.fetch(1)).toEqual([]);
    await other.acknowledge([handle]);
    expect(ids(await fetchAll(other, 1))).toEqual(['job-2']);
    await Promise.all([dead.close(), other.close()]);
  });
}

/** A store keeps the routing of a job through resends, delays and redrives. */
export function honoursRouting(openUp: () => Promise<QueueBackend>, test: DeclareTest): void {
  test('jobs with keys that are sent again are added once', async () => {
    const backend = await openUp();
    const jobs = [routed(1, KEY.one), routed(2, KEY.other), routed(3, 'high')];
    await backend.publish(publication({ partitions: 2, jobs }));
    const more = [...jobs, routed(4, KEY.one)];
    const again = await backend.publish(publication({ partitions: 2, jobs: more }));
    expect(again).toMatchObject({ remembered: 3, alreadyApplied: 3 });
    const { consumer, heads } = await takeHeads(backend, 3);
    await consumer.acknowledge(heads.map(({ handle }) => handle));
    expect(ids(await fetchAll(consumer, 1))).toEqual(['job-4']);
    await consumer.close();
  });

  test('another number of partitions is rejected while the topic has jobs with keys', async () => {
    const backend = await openUp();
    await backend.publish(publication({ partitions: 2, jobs: [routed(1, KEY.one)] }));
    const other = publication({ partitions: 3, jobs: [routed(2, KEY.one)] });
    await expect(backend.publish(other)).rejects.toMatchObject({ errorClass: 'denied' });
    const { consumer, heads } = await takeHeads(backend, 1);
    await consumer.acknowledge(heads.map(({ handle }) => handle));
    await backend.publish(other);
    expect(ids(await fetchAll(consumer, 1))).toEqual(['job-2']);
    await consumer.close();
  });

  test('a redriven job is appended to its partition', async () => {
    const backend = await openUp();
    await backend.publish(
      publication({ partitions: 2, jobs: [routed(1, KEY.one), routed(2, KEY.one)] }),
    );
    const { consumer, heads } = await takeHeads(backend, 1);
    for (const head of heads) await consumer.deadLetter(head, 'no luck');
    expect(await backend.redrive(TOPIC, 10)).toBe(1);
    const [second] = await fetchAll(consumer, 1);
    expect(second).toMatchObject({ id: 'job-2' });
    expect(await consumer.fetch(10)).toEqual([]);
    await consumer.acknowledge([second?.handle ?? '']);
    expect(await fetchAll(consumer, 1)).toMatchObject([{ id: 'job-1', history: ['no luck'] }]);
    await consumer.close();
  });

  test('a delayed job joins its partition or level when it is due', async () => {
    const backend = await openUp();
    const jobs = [
      delayed(routed(1, KEY.one), 0),
      delayed(routed(2, 'high'), 0),
      routed(3, KEY.one),
    ];
    await backend.publish(publication({ partitions: 2, jobs }));
    const { consumer, heads } = await takeHeads(backend, 2);
    expect(ids(heads)).toContain('job-2');
    expect(await consumer.fetch(10)).toEqual([]);
    await consumer.acknowledge(heads.map(({ handle }) => handle));
    const rest = await fetchAll(consumer, 1);
    expect([...ids(heads), ...ids(rest)].toSorted()).toEqual(['job-1', 'job-2', 'job-3']);
    await consumer.close();
  });
}

/** A store delivers jobs of a higher priority first, and lets no level starve. */
export function honoursPriorities(
  openUp: () => Promise<QueueBackend>,
  test: DeclareTest,
  testFairness: DeclareTest,
): void {
  test('jobs of a higher priority are delivered first, and each level keeps its order', async () => {
    const backend = await openUp();
    const jobs = [routed(1, 'low'), job(2), routed(3, 'high'), routed(4, 'high'), job(5)];
    await backend.publish(publication({ jobs }));
    const taken = await takeAll(backend, 5);
    expect(ids(taken)).toEqual(['job-3', 'job-4', 'job-2', 'job-5', 'job-1']);
  });

  testFairness('no level starves while jobs of a higher priority wait', async () => {
    const backend = await openUp();
    const jobs = Array.from({ length: 90 }, (_, index) => {
      const level = ['high', undefined, 'low'][index % 3];
      return level === undefined ? job(index + 1) : routed(index + 1, level);
    });
    await backend.publish(publication({ jobs }));
    const consumer = backend.subscribe(TOPIC, LEASE_MS * 100);
    const counts = new Map<string, number>();
    for (const { routing = 'normal' } of await fetchOneByOne(consumer, 20)) {
      counts.set(routing, (counts.get(routing) ?? 0) + 1);
    }
    expect(Object.fromEntries(counts)).toEqual({ high: 14, normal: 4, low: 2 });
    await consumer.close();
  });
}

/** A store counts and lists the jobs of a topic, in all of its subqueues. */
export function honoursInspection(openUp: () => Promise<QueueBackend>, test: DeclareTest): void {
  test('the jobs of a topic are counted and listed without being taken', async () => {
    const backend = await openUp();
    expect(await backend.count(TOPIC)).toEqual({ waiting: 0, pending: 0, delayed: 0, dead: 0 });
    const jobs = [
      job(1),
      job(2),
      routed(3, KEY.one),
      routed(4, 'high'),
      delayed(routed(5, 'low'), HOUR_MS + 1),
      delayed(job(6), HOUR_MS),
    ];
    await backend.publish(publication({ partitions: 2, jobs }));
    expect(await backend.count(TOPIC)).toEqual({ waiting: 4, pending: 0, delayed: 2, dead: 0 });
    const waiting = await backend.peek(TOPIC, 'waiting', 10);
    expect(ids(waiting).toSorted()).toEqual(['job-1', 'job-2', 'job-3', 'job-4']);
    const later = await backend.peek(TOPIC, 'delayed', 10);
    expect(later).toMatchObject([
      { id: 'job-6', payload: '{"n":6}', enqueuedAtMs: 1_006, deliveries: 0 },
      { id: 'job-5', routing: 'low' },
    ]);
    for (const { dueAtMs = 0 } of later) {
      // The store adds the delay to its own time of the publication.
      const inMs = dueAtMs - systemClock.epochMs();
      expect(inMs).toBeGreaterThan(HOUR_MS - 60_000);
      expect(inMs).toBeLessThan(HOUR_MS + 1_000);
    }
    const { consumer, heads } = await takeHeads(backend, 4);
    const [first, second, ...rest] = heads;
    if (first === undefined || second === undefined) throw new Error('no job was delivered');
    await consumer.deadLetter(first, 'no luck');
    await consumer.acknowledge([second.handle]);
    expect(await backend.count(TOPIC)).toEqual({ waiting: 0, pending: 2, delayed: 2, dead: 1 });
    const pending = await backend.peek(TOPIC, 'pending', 10);
    expect(ids(pending).toSorted()).toEqual(ids(rest).toSorted());
    expect(pending[0]).toMatchObject({ deliveries: 1, payload: expect.any(String) });
    expect(await backend.peek(TOPIC, 'delayed', 1)).toHaveLength(1);
    await consumer.close();
  });

  test('a full topic counts the jobs of all its levels and partitions', async () => {
    const backend = await openUp();
    const jobs = [routed(1, 'high'), routed(2, KEY.one), job(3), routed(4, 'low')];
    const batch = publication({ partitions: 2, maxJobs: 2, jobs });
    expect(await backend.publish(batch)).toMatchObject({ refused: 2 });
    expect(await backend.publish(batch)).toMatchObject({ alreadyApplied: 2, refused: 2 });
  });
}

async function fetchOneByOne(consumer: Subscription, count: number): Promise<Delivery[]> {
  const taken: Delivery[] = [];
  while (taken.length < count) taken.push(...(await fetchAll(consumer, 1)));
  return taken;
}
