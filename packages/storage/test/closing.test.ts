import { expect, test } from '@jest/globals';
import { createMemoryFileSystem } from '@holdfast/journal/testing';
import { createMemoryBackend } from '../src/backends/memory.ts';
import { createStorage } from '../src/create-storage.ts';
import { AWAY, openTestStorage } from './open-storage.ts';

async function* chunks(): AsyncGenerator<Uint8Array> {
  for (let chunk = 0; chunk < 3; chunk += 1) {
    await Promise.resolve();
    yield Buffer.alloc(3_000);
  }
}

test('calls that race close succeed, or are rejected as closed by the storage itself', async () => {
  const codes = new Set<unknown>();
  for (let turns = 0; turns < 40; turns += 1) {
    const { storage, clock, primary } = await openTestStorage({ acknowledgeWithinMs: 0 });
    await storage.upload('kept', 'x');
    primary.intercept = () => ({ before: AWAY });
    const calls = [
      () => storage.upload('a', 'x'),
      () => storage.upload('large', Buffer.alloc(200_000)),
      () => storage.upload('stream', chunks),
      () => storage.remove('kept'),
      () => storage.move('kept', 'moved'),
      () => storage.download('kept').then((download) => download.bytes()),
      () => storage.info('kept'),
      () => storage.exists('kept'),
      () => storage.list(''),
      () => storage.discard('none'),
      () => storage.flush({ deadlineMs: 0 }),
      () => storage.ready(),
    ];
    const started = calls.map((call) => call());
    for (let turn = 0; turn < turns; turn += 1) await Promise.resolve();
    const closing = storage.close({ deadlineMs: 0 });
    const late = calls.map((call) => call());
    const settled = clock.settle(Promise.allSettled([...started, ...late, closing]));
    for (const one of await settled) {
      if (one.status === 'rejected') codes.add(Reflect.get(Object(one.reason), 'code'));
    }
  }
  // A read that no backend answers says so.
  codes.delete('STORAGE_UNAVAILABLE');
  // The move comes after the removal.
  codes.delete('STORAGE_NOT_FOUND');
  expect([...codes]).toEqual(['STORAGE_CLOSED']);
});

test('a storage is closed while its journal opens', async () => {
  const storage = createStorage({
    backends: [createMemoryBackend()],
    files: createMemoryFileSystem(),
    journal: { directory: '/storage' },
  });
  const upload = storage.upload('a', 'x');
  const closing = storage.close();
  const outcome = await upload.catch((error: unknown) => error);
  expect([{ path: 'a' }, { code: 'STORAGE_CLOSED' }]).toContainEqual(
    'path' in Object(outcome) ? { path: 'a' } : { code: Reflect.get(Object(outcome), 'code') },
  );
  await closing;
});

test('from the call of close on a storage is critical, and says that it is closed', async () => {
  const { storage } = await openTestStorage();
  await storage.upload('k', 'v');
  expect(storage.health().level).toBe('healthy');
  const closing = storage.close();
  const closed = { level: 'critical', journalFailure: { code: 'STORAGE_CLOSED' } };
  expect(storage.health()).toMatchObject(closed);
  await closing;
  expect(storage.health()).toMatchObject(closed);
});

test('every call of close returns the same promise, and a wrong deadline rejects', async () => {
  const { storage } = await openTestStorage();
  await expect(storage.close({ deadlineMs: -1 })).rejects.toMatchObject({ field: 'deadlineMs' });
  expect(storage.health().level).toBe('healthy');
  const closing = storage.close();
  expect(storage.close({ deadlineMs: 1 })).toBe(closing);
  expect(storage[Symbol.asyncDispose]()).toBe(closing);
  await closing;
  expect(storage.close()).toBe(closing);
});
