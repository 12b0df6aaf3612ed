// Not the global one, which a test may fake.
import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect } from '@jest/globals';
import { type Clock, sleep, systemClock } from '@holdfast/foundation';
import type {
  Delivery,
  Publication,
  PublishedJob,
  QueueBackend,
  Subscription,
} from '../backend.ts';

/** The parameters of the contract's tests. */
export const PARTS = { TOPIC: 'contract', LEASE_MS: 300 } as const;
const { TOPIC, LEASE_MS } = PARTS;
const POLL_MS = 10;
/** A busy machine delays everything, but a store that has not delivered by then does not. */
const PATIENCE_MS = 30_000;

export function publication(given: Partial<Publication>): Publication {
  return {
    topic: TOPIC,
    producer: 'producer',
    ownerEpoch: 1,
    originEpoch: 1,
    floor: 0,
    previous: 0,
    jobs: [],
    ...given,
  };
}

export function job(sequence: number, id = `job-${sequence}`): PublishedJob {
  const payload = JSON.stringify({ n: sequence });
  return { sequence, id, unique: false, enqueuedAtMs: 1_000 + sequence, dueAtMs: 0, payload };
}

/** The job, with what is left of its delay. */
export function delayed(given: PublishedJob, delayMs: number): PublishedJob {
  return { ...given, dueAtMs: given.enqueuedAtMs + delayMs, delayMs };
}

export async function takeAll(backend: QueueBackend, count: number): Promise<Delivery[]> {
  const consumer = backend.subscribe(TOPIC, LEASE_MS);
  const taken = await fetchAll(consumer, count);
  expect(await consumer.fetch(1)).toEqual([]);
  await consumer.acknowledge(taken.map(({ handle }) => handle));
  await consumer.close();
  return taken;
}

/**
 * Fetches `count` jobs. The first fetch of a topic may only create the consumer group.
 * @throws Error when they do not come
 */
export async function fetchAll(
  consumer: Subscription,
  count: number,
  clock: Clock = systemClock,
): Promise<Delivery[]> {
  await consumer.whenConnected(new AbortController().signal);
  const untilMs = clock.now() + PATIENCE_MS;
  const taken: Delivery[] = [];
  while (taken.length < count) {
    taken.push(...(await consumer.fetch(count - taken.length)));
    if (clock.now() > untilMs) throw new Error(`${taken.length} of ${count} jobs were delivered`);
    // A store may answer at once that it has none.
    await nextTurn();
  }
  return taken;
}

/** @throws Error when no job is handed over */
export async function untilRecovered(
  consumer: Subscription,
  clock: Clock = systemClock,
): Promise<readonly Delivery[]> {
  await consumer.whenConnected(new AbortController().signal);
  const untilMs = clock.now() + PATIENCE_MS;
  while (clock.now() <= untilMs) {
    const { deliveries } = await consumer.recover([], 1);
    if (deliveries.length > 0) return deliveries;
    await sleep(clock, POLL_MS);
  }
  throw new Error('no job was handed over');
}
