import { expect, test } from '@jest/globals';
import type { Delivery, Publication, PublishReceipt, PublishedJob } from '../../src/backend.ts';
import { StoredTopic } from '../../src/memory/stored-topic.ts';

const LEASED_UNTIL_MS = 1_000;

function job(sequence: number, more: Partial<PublishedJob> = {}): PublishedJob {
  const times = { enqueuedAtMs: 5, dueAtMs: 0 };
  return { sequence, id: `${sequence}`, unique: false, payload: `${sequence}`, ...times, ...more };
}

function publication(more: Partial<Publication> & { jobs: readonly PublishedJob[] }): Publication {
  return {
    topic: 't',
    producer: 'p',
    ownerEpoch: 1,
    ownerNonce: 'n',
    originEpoch: 1,
    originNonce: 'o',
    floor: 0,
    previous: 0,
    partitions: undefined,
    ...more,
  };
}

/** Publishes jobs of these numbers, of one producer. */
function publish(topic: StoredTopic, sequences: readonly number[], more = {}): PublishReceipt {
  return topic.publish(publication({ jobs: sequences.map((one) => job(one)), ...more }), 0);
}

const ids = (jobs: readonly { readonly id: string }[]): string[] => jobs.map(({ id }) => id);
const taken = (topic: StoredTopic, max = 100): string[] =>
  ids(topic.take('c', max, LEASED_UNTIL_MS));
const held = (...deliveries: readonly Delivery[]): Set<string> =>
  new Set(deliveries.map(({ handle }) => handle));

test('a job that was published before is not added again, a later one is', () => {
  const topic = new StoredTopic();
  expect(publish(topic, [1, 2])).toEqual({
    remembered: 0,
    alreadyApplied: 0,
    duplicates: [],
    refused: 0,
  });
  expect(publish(topic, [2, 3])).toMatchObject({ remembered: 2, alreadyApplied: 1 });
  expect(publish(topic, [])).toMatchObject({ remembered: 3 });
  expect(taken(topic)).toEqual(['1', '2', '3']);
});

test('jobs whose predecessors are missing are refused, up to the one that must be known', () => {
  const topic = new StoredTopic();
  publish(topic, [1]);
  const busy: unknown = expect.objectContaining({ errorClass: 'busy' });
  expect(() => publish(topic, [3], { previous: 2 })).toThrow(busy);
  publish(topic, [2], { previous: 1 });
  // What the producer has given up need not be known.
  expect(publish(topic, [6], { previous: 5, floor: 5 })).toMatchObject({ alreadyApplied: 0 });
  expect(taken(topic)).toEqual(['1', '2', '6']);
});

test('the numbers of an origin begin anew with its epoch, and an older epoch adds nothing', () => {
  const topic = new StoredTopic();
  publish(topic, [1, 2], { originEpoch: 2 });
  expect(publish(topic, [7], { originEpoch: 1, previous: 6 })).toMatchObject({
    remembered: 2,
    alreadyApplied: 1,
  });
  expect(publish(topic, [1], { originEpoch: 3 })).toMatchObject({
    remembered: 0,
    alreadyApplied: 0,
  });
  expect(publish(topic, [2], { originEpoch: 3 })).toMatchObject({ remembered: 1 });
  expect(publish(topic, [1], { originNonce: 'another' })).toMatchObject({ alreadyApplied: 0 });
  expect(taken(topic)).toEqual(['1', '2', '1', '2', '1']);
});

test('a former owner of a journal is fenced, and so is another one of the same epoch', () => {
  const topic = new StoredTopic();
  const fenced: unknown = expect.objectContaining({ errorClass: 'fenced' });
  publish(topic, [1], { ownerEpoch: 2 });
  expect(() => publish(topic, [2], { ownerEpoch: 1 })).toThrow(fenced);
  expect(() => publish(topic, [2], { ownerEpoch: 2, ownerNonce: 'm' })).toThrow(fenced);
  publish(topic, [2], { ownerEpoch: 2 });
  publish(topic, [3], { ownerEpoch: 3, ownerNonce: 'm' });
  expect(() => publish(topic, [4], { ownerEpoch: 2 })).toThrow(fenced);
  publish(topic, [1], { producer: 'q', originNonce: 'q' });
  expect(taken(topic)).toHaveLength(4);
});

test('a chosen id is added once, and reported; other ids as often as they come', () => {
  const topic = new StoredTopic();
  const jobs = [
    job(1, { id: 'a', unique: true }),
    job(2, { id: 'a', unique: true }),
    job(3, { id: 'b' }),
    job(4, { id: 'b' }),
  ];
  expect(topic.publish(publication({ jobs }), 0)).toMatchObject({ duplicates: ['a'] });
  expect(taken(topic)).toEqual(['a', 'b', 'b']);
});

test('a topic takes as many jobs as it may have, the delayed ones counted', () => {
  const topic = new StoredTopic();
  const jobs = [job(1), job(2, { delayMs: 50 }), job(3), job(4)];
  expect(topic.publish(publication({ jobs, maxJobs: 3 }), 0)).toMatchObject({ refused: 1 });
  expect(topic.size).toBe(3);
  // The refused one comes again, once there is room.
  expect(publish(topic, [4], { maxJobs: 3 })).toMatchObject({ refused: 1, alreadyApplied: 0 });
  const [first] = topic.take('c', 1, LEASED_UNTIL_MS);
  topic.remove('c', first?.handle ?? '');
  expect(publish(topic, [4], { maxJobs: 3 })).toMatchObject({ refused: 0 });
  expect(taken(topic)).toEqual(['3', '4']);
});

test('delayed jobs are promoted when they are due, the earliest first', () => {
  const topic = new StoredTopic();
  const due = [300, 100, 200, 400];
  const jobs = due.map((delayMs, index) => job(index + 1, { delayMs }));
  topic.publish(publication({ jobs }), 0);
  expect([topic.promote(99), taken(topic)]).toEqual([100, []]);
  expect(topic.peek('delayed', 0).map(({ dueAtMs }) => dueAtMs)).toEqual([100, 200, 300, 400]);
  expect([topic.promote(300), taken(topic)]).toEqual([400, ['2', '3', '1']]);
  expect([topic.promote(400), taken(topic)]).toEqual([undefined, ['4']]);
});

test('a job that is put aside is delivered once more, with its attempts and its history', () => {
  const topic = new StoredTopic();
  topic.append(job(1), ['first failure']);
  const [delivery] = topic.take('c', 1, LEASED_UNTIL_MS);
  if (delivery === undefined) throw new Error('no job');
  expect(delivery).toMatchObject({ deliveries: 1, history: ['first failure'] });
  // It is not another consumer's to put aside.
  expect(topic.retryLater('d', delivery, 50)).toBe(true);
  expect(topic.peek('pending', 0)).toHaveLength(1);
  expect(topic.retryLater('c', { ...delivery, deliveries: 2 }, 50)).toBe(true);
  expect([topic.entries.size, topic.size]).toEqual([0, 1]);
  expect(topic.peek('delayed', 0)).toMatchObject([{ id: '1', dueAtMs: 50, deliveries: 2 }]);
  topic.promote(50);
  const [again] = topic.take('d', 1, LEASED_UNTIL_MS);
  expect(again).toMatchObject({ deliveries: 3, history: ['first failure'] });
});

test('a job of a partition that failed stays with its consumer, and its partition waits', () => {
  const topic = new StoredTopic();
  const jobs = [1, 2].map((sequence) => job(sequence, { routing: '7' }));
  topic.publish(publication({ jobs, partitions: 2 }), 0);
  const [delivery, ...others] = topic.take('c', 10, LEASED_UNTIL_MS);
  if (delivery === undefined) throw new Error('no job');
  expect(others).toEqual([]);
  expect(topic.retryLater('c', { ...delivery, deliveries: 4 }, 50)).toBe(false);
  expect(taken(topic)).toEqual([]);
  expect(topic.peek('pending', 0)).toMatchObject([{ deliveries: 4, routing: '7' }]);
  expect(topic.remove('d', delivery.handle)).toBe(false);
  expect(topic.remove('c', delivery.handle)).toBe(true);
  expect(topic.remove('c', delivery.handle)).toBe(false);
  expect(taken(topic)).toEqual(['2']);
});

test('the number of partitions changes only while none has a job', () => {
  const topic = new StoredTopic();
  const keyed = (sequence: number, partitions: number): PublishReceipt =>
    topic.publish(publication({ jobs: [job(sequence, { routing: '7' })], partitions }), 0);
  keyed(1, 2);
  keyed(2, 2);
  const denied: unknown = expect.objectContaining({ errorClass: 'denied' });
  expect(() => keyed(3, 4)).toThrow(denied);
  // Jobs without a key are in no partition.
  publish(topic, [3], { partitions: 4 });
  topic.entries.clear();
  keyed(4, 4);
  expect(() => keyed(5, 2)).toThrow(denied);
});

test('a handed back job is delivered at once, with the deliveries that count', () => {
  const topic = new StoredTopic();
  publish(topic, [1]);
  const [delivery] = topic.take('c', 1, LEASED_UNTIL_MS);
  const { handle = '' } = delivery ?? {};
  topic.release('d', handle, 0);
  topic.release('c', 'unknown', 0);
  expect(topic.peek('pending', 0)).toHaveLength(1);
  topic.release('c', handle, 0);
  expect([topic.peek('pending', 0), topic.peek('waiting', 0)]).toMatchObject([
    [],
    [{ deliveries: 0 }],
  ]);
  expect(topic.take('d', 1, LEASED_UNTIL_MS)).toMatchObject([{ deliveries: 1 }]);
});

interface Takeover {
  readonly mayTakeOver?: boolean;
  readonly last?: { readonly delivery: number; readonly max: number };
  readonly nowMs?: number;
  readonly max?: number;
}

function takeOver(
  topic: StoredTopic,
  owner: string,
  holding: ReadonlySet<string>,
  { mayTakeOver = true, last, nowMs = LEASED_UNTIL_MS, max = 100 }: Takeover = {},
): Delivery[] {
  const limits = { mayTakeOver, last, nowMs, leasedUntilMs: nowMs + LEASED_UNTIL_MS };
  return topic.takeOver(owner, holding, max, limits);
}

test('a lease ends at its time: before, at it, and where others may not be taken over', () => {
  const topic = new StoredTopic();
  publish(topic, [1, 2]);
  const mine = topic.take('c', 2, LEASED_UNTIL_MS);
  expect(takeOver(topic, 'd', new Set(), { nowMs: LEASED_UNTIL_MS - 1 })).toEqual([]);
  expect(takeOver(topic, 'd', new Set(), { mayTakeOver: false })).toEqual([]);
  // Its consumer renews the one that it holds.
  const [first] = mine;
  if (first === undefined) throw new Error('no job');
  expect(ids(takeOver(topic, 'c', held(...mine), { nowMs: 500 }))).toEqual([]);
  expect(takeOver(topic, 'd', new Set(), { nowMs: 1_499 })).toEqual([]);
  expect(ids(takeOver(topic, 'd', new Set(), { nowMs: 1_500, max: 1 }))).toEqual(['1']);
  expect(takeOver(topic, 'd', held(first), { nowMs: 1_500 })).toMatchObject([
    { id: '2', deliveries: 2 },
  ]);
});

test('a consumer gets back what it does not hold, as delivered before', () => {
  const topic = new StoredTopic();
  publish(topic, [1, 2]);
  const [first] = topic.take('c', 2, LEASED_UNTIL_MS);
  if (first === undefined) throw new Error('no job');
  const back = takeOver(topic, 'c', held(first), { nowMs: 0, mayTakeOver: false });
  expect(back).toMatchObject([{ id: '2', deliveries: 1 }]);
  publish(topic, [3]);
  expect(taken(topic)).toEqual(['3']);
});

test('no more jobs than permitted are taken over for their last delivery', () => {
  const topic = new StoredTopic();
  publish(topic, [1, 2, 3]);
  topic.take('c', 3, LEASED_UNTIL_MS);
  const last = { delivery: 2, max: 1 };
  expect(ids(takeOver(topic, 'd', new Set(), { last: { ...last, max: 0 } }))).toEqual([]);
  expect(ids(takeOver(topic, 'd', new Set(), { last }))).toEqual(['1']);
  const others = takeOver(topic, 'e', new Set(), { last: { delivery: 3, max: 0 } });
  expect(ids(others)).toEqual(['2', '3']);
});

test('levels share what is taken, and the order within a level stays', () => {
  const topic = new StoredTopic();
  const routings = ['low', undefined, 'high', 'low', undefined, 'high'];
  const jobs = routings.map((routing, index) =>
    job(index + 1, routing === undefined ? {} : { routing }),
  );
  topic.publish(publication({ jobs }), 0);
  expect(topic.peek('waiting', 0).map(({ routing }) => routing)).toEqual(routings);
  const order = taken(topic, 6).map(Number);
  expect(new Set(order)).toEqual(new Set([1, 2, 3, 4, 5, 6]));
  expect(order).toHaveLength(6);
  expect(order.indexOf(3)).toBeLessThan(order.indexOf(6));
  expect(order.indexOf(1)).toBeLessThan(order.indexOf(4));
  expect(order[0]).toBe(3);
});
