import { expect, test } from '@jest/globals';
import { nextEvent } from '@holdfast/foundation';
import { createMemoryBackend } from '../../src/backends/memory.ts';
import type { Download } from '../../src/storage.ts';
import { AWAY, openTestStorage, textAt, writeElsewhere } from '../open-storage.ts';

async function textOf(download: Download): Promise<string> {
  return Buffer.from(await download.bytes()).toString();
}

test('a read falls back to the next backend, and to the local copy when none responds', async () => {
  const { storage, clock, primary, mirror } = await openTestStorage({
    local: { directory: '/local' },
  });
  await storage.upload('k', 'kept');
  await clock.settle(storage.flush({ deadlineMs: 60_000 }));
  primary.intercept = () => ({ before: AWAY });
  const second = await storage.download('k');
  expect([second.from, await textOf(second)]).toEqual(['mirror', 'kept']);
  mirror.intercept = () => ({ before: AWAY });
  const third = await storage.download('k');
  expect([third.from, await textOf(third)]).toEqual(['local', 'kept']);
  await expect(storage.download('other')).rejects.toMatchObject({
    code: 'STORAGE_UNAVAILABLE',
    retryable: true,
    attempts: [{ from: 'primary' }, { from: 'mirror' }],
  });
  expect(storage.getStats().downloads).toEqual({ mirror: 1, local: 1 });
  await storage.close({ deadlineMs: 0 });
});

test('a failing backend soon gets no more reads', async () => {
  const { storage, clock, primary } = await openTestStorage();
  await storage.upload('k', 'kept');
  await clock.settle(storage.flush({ deadlineMs: 60_000 }));
  let asked = 0;
  primary.intercept = () => {
    asked += 1;
    return { before: AWAY };
  };
  for (let read = 0; read < 20; read += 1) await storage.download('k');
  expect(asked).toBe(3);
  await storage.close();
});

test('calls aborted by their callers do not count as failures of the backend', async () => {
  const { storage, clock, primary } = await openTestStorage();
  await storage.upload('k', 'kept');
  await clock.settle(storage.flush({ deadlineMs: 60_000 }));
  primary.intercept = (_, signal) =>
    new Promise((resolve) => {
      if (signal.aborted) resolve({ before: AWAY });
      signal.addEventListener('abort', () => resolve({ before: AWAY }), { once: true });
    });
  const reason = new Error('the reader went away');
  for (let read = 0; read < 10; read += 1) {
    const controller = new AbortController();
    const download = storage.download('k', { signal: controller.signal });
    await clock.advance(1);
    controller.abort(reason);
    await expect(download).rejects.toBe(reason);
  }
  primary.intercept = () => undefined;
  expect((await storage.download('k')).from).toBe('primary');
  await storage.close();
});

test('a missing object is reported by a backend that is up, not by one that has just come back', async () => {
  const { storage, clock, primary, mirror } = await openTestStorage({ acknowledgeWithinMs: 0 });
  writeElsewhere(mirror, 'k', 'only in the mirror');
  await expect(storage.download('k')).rejects.toMatchObject({ code: 'STORAGE_NOT_FOUND' });
  primary.intercept = () => ({ before: AWAY });
  for (let write = 0; write < 5; write += 1) await storage.upload(`k${write}`, 'x');
  await clock.advance(500);
  primary.intercept = ({ kind }) => (kind === 'put' ? { before: AWAY } : undefined);
  expect((await storage.download('k')).from).toBe('mirror');
  await storage.close({ deadlineMs: 0 });
});

test('damaged bytes are never returned, and are repaired with good bytes of another backend', async () => {
  const { storage, clock, primary } = await openTestStorage();
  await storage.upload('k', 'good');
  await clock.settle(storage.flush({ deadlineMs: 60_000 }));
  const stored = primary.objects.get('k');
  if (stored === undefined) throw new Error('nothing was stored');
  primary.objects.set('k', { ...stored, bytes: Buffer.from('evil') });
  const repair = nextEvent(storage, 'repair');
  const download = await storage.download('k');
  expect([download.from, await textOf(download)]).toEqual(['mirror', 'good']);
  expect(await repair).toMatchObject({ backend: 'primary', path: 'k' });
  await clock.settle(storage.flush({ deadlineMs: 60_000 }));
  expect(textAt(primary, 'k')).toBe('good');
  expect(storage.getStats().repairs).toBe(1);
  await storage.close();
});

test('an object removed while damaged bytes are read is not restored by their repair', async () => {
  const { storage, clock, primary, mirror } = await openTestStorage({
    local: { directory: '/local' },
  });
  await storage.upload('k', 'good');
  await clock.settle(storage.flush({ deadlineMs: 60_000 }));
  const stored = primary.objects.get('k');
  if (stored === undefined) throw new Error('nothing was stored');
  primary.objects.set('k', { ...stored, bytes: Buffer.from('evil') });
  const get = mirror.get.bind(mirror);
  mirror.get = async (key, options) => {
    const got = await get(key, options);
    await storage.remove('k', { acknowledgeWithinMs: 0 });
    return got;
  };
  expect(await textOf(await storage.download('k'))).toBe('good');
  await clock.settle(storage.flush({ deadlineMs: 60_000 }));
  expect([textAt(primary, 'k'), textAt(mirror, 'k')]).toEqual([undefined, undefined]);
  expect(storage.getStats()).toMatchObject({ repairs: 0, localCopies: { entries: 0 } });
  await storage.close();
});

test('a repair does not overwrite a later write of another writer', async () => {
  const { storage, clock, primary } = await openTestStorage();
  await storage.upload('k', 'good');
  await clock.settle(storage.flush({ deadlineMs: 60_000 }));
  const stored = primary.objects.get('k');
  if (stored === undefined) throw new Error('nothing was stored');
  primary.objects.set('k', { ...stored, bytes: Buffer.from('evil') });
  primary.intercept = ({ kind }) => {
    if (kind === 'put') writeElsewhere(primary, 'k', 'theirs');
    primary.intercept = kind === 'put' ? () => undefined : primary.intercept;
    return undefined;
  };
  const repair = new Promise((resolve) => storage.on('repair', resolve));
  await storage.download('k');
  await clock.settle(repair);
  await clock.settle(storage.flush({ deadlineMs: 60_000 }));
  expect(textAt(primary, 'k')).toBe('theirs');
  await storage.close();
});

test('bytes that do not match their checksum because of a concurrent write are read again, not repaired', async () => {
  const { storage, clock, primary } = await openTestStorage();
  await storage.upload('k', 'good');
  await clock.settle(storage.flush({ deadlineMs: 60_000 }));
  const get = primary.get.bind(primary);
  let reads = 0;
  primary.get = async (key, options) => {
    const got = await get(key, options);
    reads += 1;
    if (got.kind !== 'ok' || reads > 1) return got;
    const body = (async function* () {
      yield Buffer.from('torn');
    })();
    return { kind: 'ok', value: { head: got.value.head, body } };
  };
  const download = await storage.download('k');
  expect([download.from, await textOf(download), reads]).toEqual(['primary', 'good', 2]);
  expect(storage.getStats().repairs).toBe(0);
  await storage.close();
});

test('a missing object on a mirror proves nothing while the primary does not respond', async () => {
  const { storage, primary } = await openTestStorage();
  writeElsewhere(primary, 'k', 'written past this storage');
  primary.intercept = () => ({ before: AWAY });
  await expect(storage.download('k')).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE' });
  await expect(storage.exists('k')).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE' });
  await storage.close();
});

test('a long body that breaks off is resumed at its offset', async () => {
  const primary = createMemoryBackend({ name: 'primary' });
  const { storage, clock } = await openTestStorage({ verifyWholeBytes: 10 }, { primary });
  const text = 'a long body, in pieces';
  await storage.upload('k', text);
  await clock.settle(storage.flush({ deadlineMs: 60_000 }));
  const get = primary.get.bind(primary);
  const offsets: number[] = [];
  primary.get = async (key, options) => {
    offsets.push(options.from ?? 0);
    const got = await get(key, options);
    if (got.kind !== 'ok' || offsets.length > 3) return got;
    const whole = Buffer.from(text);
    const from = options.from ?? 0;
    const body = (async function* () {
      yield whole.subarray(from, from + 5);
      throw new Error('the connection broke');
    })();
    return { kind: 'ok', value: { head: got.value.head, body } };
  };
  expect(await textOf(await storage.download('k'))).toBe(text);
  expect(offsets).toEqual([0, 5, 10, 15]);
  await storage.close();
});

test('a list contains pending uploads, and no pending removals', async () => {
  const { storage, clock, primary } = await openTestStorage({ acknowledgeWithinMs: 0 });
  for (const key of ['a', 'b', 'c', 'd']) await storage.upload(key, key);
  await clock.settle(storage.flush({ deadlineMs: 60_000 }));
  primary.intercept = ({ kind }) => (kind === 'list' ? undefined : { before: AWAY });
  await storage.remove('b');
  await storage.upload('bb', 'pending');
  await storage.upload('z', 'pending');
  const first = await storage.list('', { limit: 3 });
  expect(first.objects.map(({ key }) => key)).toEqual(['a', 'bb', 'c']);
  const rest = await storage.list('', { limit: 3, ...(first.cursor && { cursor: first.cursor }) });
  expect(rest.objects.map(({ key }) => key)).toEqual(['d', 'z']);
  await expect(storage.list('', { cursor: 'made up' })).rejects.toMatchObject({ field: 'cursor' });
  await storage.close({ deadlineMs: 0 });
});

test('the least recently used copies are evicted first, and copies survive a restart', async () => {
  const options = { local: { directory: '/local', maxBytes: 900, maxEntries: 10 } };
  const first = await openTestStorage(options);
  for (let write = 0; write < 6; write += 1)
    await first.storage.upload(`k${write}`, 'x'.repeat(100));
  await first.clock.settle(first.storage.flush({ deadlineMs: 60_000 }));
  const { entries, bytes } = first.storage.getStats().localCopies;
  expect(entries).toBeGreaterThan(0);
  expect(entries).toBeLessThan(6);
  expect(bytes).toBeLessThanOrEqual(900);
  const { storage, primary, mirror } = await first.restart();
  primary.intercept = () => ({ before: AWAY });
  mirror.intercept = () => ({ before: AWAY });
  expect((await storage.download('k5')).from).toBe('local');
  await expect(storage.download('k0')).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE' });
  await storage.close({ deadlineMs: 0 });
});

test('many copies at once stay within their limits, on the disk too', async () => {
  const limits = { directory: '/local', maxBytes: 5_000, maxEntries: 10 };
  const { storage, files } = await openTestStorage({ local: limits });
  const body = 'x'.repeat(900);
  await Promise.all(Array.from({ length: 60 }, (_, write) => storage.upload(`k${write}`, body)));
  await storage.close();
  const { entries, bytes } = storage.getStats().localCopies;
  expect(entries).toBeGreaterThan(0);
  expect(bytes).toBeLessThanOrEqual(5_000);
  expect(files.names().filter((name) => name.includes('.copy'))).toHaveLength(entries);
});
