import { expect, test } from '@jest/globals';
import { createMemoryFileSystem } from '@holdfast/journal/testing';
import { createStorage } from '../../src/create-storage.ts';
import { openTestStorage, writeElsewhere } from '../open-storage.ts';

test('a storage whose journal is locked reads the backends, and its own writes once it is open', async () => {
  const first = await openTestStorage();
  await first.clock.settle(first.storage.upload('k', 'stored'));
  const { clock, files, primary, mirror } = first;
  const journal = { directory: '/storage', segmentBytes: 65_536 };
  const storage = createStorage({ backends: [primary, mirror], clock, files, journal });
  await expect(clock.settle(storage.ready())).rejects.toMatchObject({ code: 'JOURNAL_LOCKED' });
  const download = await clock.settle(storage.download('k'));
  expect([download.from, Buffer.from(await download.bytes()).toString()]).toEqual([
    'primary',
    'stored',
  ]);
  expect(await clock.settle(storage.exists('k'))).toBe(true);
  expect(await clock.settle(storage.info('k'))).toMatchObject({ from: 'primary', size: 6 });
  const { objects } = await clock.settle(storage.list(''));
  expect(objects.map(({ key }) => key)).toEqual(['k']);
  await expect(clock.settle(storage.download('none'))).rejects.toMatchObject({
    code: 'STORAGE_NOT_FOUND',
  });
  await expect(clock.settle(storage.upload('k', 'x'))).rejects.toMatchObject({
    code: 'JOURNAL_LOCKED',
  });
  expect(storage.health()).toMatchObject({
    level: 'critical',
    journalFailure: { code: 'JOURNAL_LOCKED' },
    backends: { primary: { state: 'up' }, mirror: { state: 'up' } },
  });
  expect(storage.getStats().downloads).toEqual({ primary: 1 });
  await clock.settle(first.storage.close());
  await clock.advance(1_001);
  await clock.settle(storage.upload('k', 'later'));
  expect((await clock.settle(storage.download('k'))).size).toBe(5);
  expect(storage.health().level).toBe('healthy');
  await clock.settle(storage.close());
  expect(storage.health()).toMatchObject({
    level: 'critical',
    journalFailure: { code: 'STORAGE_CLOSED' },
  });
});

test('a journal that does not open holds up no read for longer than a dead owner would', async () => {
  const { clock, primary, storage: other } = await openTestStorage();
  writeElsewhere(primary, 'k', 'stored');
  const files = { ...createMemoryFileSystem(), status: () => new Promise<never>(() => {}) };
  const journal = { directory: '/storage', ioTimeoutMs: 3_600_000, ownerStaleMs: 2_000 };
  const storage = createStorage({ backends: [primary], clock, files, journal });
  const { level, backends } = storage.health();
  expect([level, Object.keys(backends)]).toEqual(['degraded', ['primary']]);
  const leaving = new AbortController();
  const aborted = storage.download('k', { signal: leaving.signal });
  leaving.abort(new Error('enough'));
  await expect(aborted).rejects.toThrow('enough');
  const reads = [storage.download('k'), storage.exists('k'), storage.info('k'), storage.list('')];
  const results = Promise.allSettled(reads);
  await clock.advance(3_000);
  expect((await results).map(({ status }) => status)).toEqual(Array(4).fill('fulfilled'));
  await clock.settle(other.close());
});

test('a damaged object is not repaired while the journal is locked, and is read from the mirror', async () => {
  const first = await openTestStorage();
  const { clock, files, primary, mirror } = first;
  await clock.settle(first.storage.upload('k', 'stored'));
  await clock.settle(first.storage.flush());
  const stored = primary.objects.get('k');
  if (stored === undefined) throw new RangeError('not stored');
  stored.bytes[0] = 0;
  const journal = { directory: '/storage' };
  const storage = createStorage({ backends: [primary, mirror], clock, files, journal });
  await expect(clock.settle(storage.ready())).rejects.toMatchObject({ code: 'JOURNAL_LOCKED' });
  expect((await clock.settle(storage.download('k'))).from).toBe('mirror');
  await clock.settle(storage.close());
  await clock.settle(first.storage.close());
});
