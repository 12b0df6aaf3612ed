import { expect } from '@jest/globals';
import { sleep, systemClock } from '@holdfast/foundation';
import type { Delivery, Publication, PublishedJob, QueueBackend } from '../backend.ts';

/** The parameters of the contract's tests. */
export const PARTS = { TOPIC: 'contract', LEASE_MS: 300 } as const;
const { TOPIC, LEASE_MS } = PARTS;
const POLL_MS = 10;

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

export async function takeAll(backend: QueueBackend, count: number): Promise<Delivery[]> {
  const consumer = backend.subscribe(TOPIC, LEASE_MS);
  const taken = await fetchAll(consumer, count);
  expect(await consumer.fetch(1)).toEqual([]);
  await consumer.acknowledge(taken.map(({ handle }) => handle));
  await consumer.close();
  return taken;
}

/** Fetches `count` jobs. The first fetch of a topic may only create the consumer group. */
export async function fetchAll(
  consumer: ReturnType<QueueBackend['subscribe']>,
  count: number,
): Promise<Delivery[]> {
  await consumer.whenConnected(new AbortController().signal);
  const taken: Delivery[] = [];
  while (taken.length < count) taken.push(...(await consumer.fetch(count - taken.length)));
  return taken;
}

export async function untilRecovered(
  consumer: ReturnType<QueueBackend['subscribe']>,
): Promise<readonly Delivery[]> {
  await consumer.whenConnected(new AbortController().signal);
  while (true) {
    const { deliveries } = await consumer.recover([], 1);
    if (deliveries.length > 0) return deliveries;
    await sleep(systemClock, POLL_MS);
  }
}
