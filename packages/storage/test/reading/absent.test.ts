import { expect, test } from '@jest/globals';
import { type StorageFailure, fail } from '../../src/backend.ts';
import type { MemoryBackend } from '../../src/backends/memory.ts';
import {
  AWAY,
  DENIED,
  type TestStorage,
  openTestStorage,
  writeElsewhere,
} from '../open-storage.ts';

const NO_BUCKET = fail('notFound', 'no bucket', { code: 'NoSuchBucket' });

/** Both reads of a key, as they end. */
async function readOf({ storage, clock }: TestStorage, key: string): Promise<unknown[]> {
  const ends = await Promise.allSettled([
    clock.settle(storage.download(key)),
    clock.settle(storage.exists(key)),
  ]);
  return ends.map((end) => {
    if (end.status === 'rejected') return end.reason.code;
    return typeof end.value === 'boolean' ? end.value : end.value.from;
  });
}

/** A storage whose primary takes no writes, so that it does not count as up. */
async function openBehind(): Promise<TestStorage> {
  const one = await openTestStorage({ acknowledgeWithinMs: 0 });
  one.primary.intercept = ({ kind }) => (kind === 'put' ? { before: DENIED } : undefined);
  await one.storage.upload('waits', 'x');
  await one.clock.advance(10);
  return one;
}

test('an object that no backend has is absent, also while the primary lacks writes', async () => {
  const one = await openBehind();
  expect(await readOf(one, 'nowhere')).toEqual(['STORAGE_NOT_FOUND', false]);
  expect(await readOf(one, 'waits')).toEqual(['pending', true]);
  writeElsewhere(one.mirror, 'there', 'x');
  expect(await readOf(one, 'there')).toEqual(['mirror', true]);
  await one.storage.close({ deadlineMs: 0 });
});

test('while the primary is up, its word for an absent object is enough', async () => {
  const one = await openTestStorage();
  writeElsewhere(one.mirror, 'there', 'x');
  expect(await readOf(one, 'there')).toEqual(['STORAGE_NOT_FOUND', false]);
  expect(one.storage.getStats().downloads).toEqual({});
  await one.storage.close();
});

const answering = (backend: MemoryBackend, before: StorageFailure): void => {
  backend.intercept = () => ({ before });
};

test.each([
  ['denies, and the other has none', DENIED, undefined, 'STORAGE_DENIED'],
  ['denies, and the other denies too', DENIED, DENIED, 'STORAGE_DENIED'],
  ['has no bucket, and the other has none', NO_BUCKET, undefined, 'STORAGE_DENIED'],
  ['denies, and the other is away', DENIED, AWAY, 'STORAGE_UNAVAILABLE'],
  ['is away, and the other has none', AWAY, undefined, 'STORAGE_UNAVAILABLE'],
])('where one backend %s, a read says so', async (_, first, second, expected) => {
  const one = await openTestStorage();
  answering(one.primary, first);
  if (second !== undefined) answering(one.mirror, second);
  expect(await readOf(one, 'k')).toEqual([expected, expected]);
  await one.storage.close({ deadlineMs: 0 });
});
