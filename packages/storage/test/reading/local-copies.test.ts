import { hash } from 'node:crypto';
import { expect, test } from '@jest/globals';
import { type MemoryFileSystem, createMemoryFileSystem } from '@holdfast/journal/testing';
import { type CopyHead, LocalCopies } from '../../src/read/local-copies.ts';

const EPOCH_MS = 1_000_000;
/** Of the file of a copy of 100 bytes. */
const FILE_BYTES = 260;

function headOf(key: string, bytes: Uint8Array, more: Partial<CopyHead> = {}): CopyHead {
  return {
    key,
    sha256: hash('sha256', bytes, 'hex'),
    contentType: 'text/plain',
    metadata: {},
    ...more,
  };
}

interface Limits {
  readonly maxBytes?: number;
  readonly maxEntries?: number;
  readonly maxCopyBytes?: number;
}

async function open(limits: Limits = {}, files: MemoryFileSystem = createMemoryFileSystem()) {
  const most = { maxBytes: 1_000_000, maxEntries: 100, maxCopyBytes: 1_000, ...limits };
  const copies = new LocalCopies(files, {
    directory: '/local',
    epochMs: () => EPOCH_MS,
    ...most,
  });
  await copies.open();
  const keep = async (key: string, size = 100, more?: Partial<CopyHead>): Promise<void> => {
    const bytes = Buffer.alloc(size, key.slice(-1));
    await copies.replace(headOf(key, bytes, more), bytes);
    await copies.close();
  };
  const keys = (): string[] => [...copies.all()].map(({ key }) => key);
  return { copies, files, keep, keys };
}

test('a copy is read as it was kept, and replaced by the next one of its key', async () => {
  const { copies, keep } = await open();
  await keep('k', 100, { cacheControl: 'no-cache', modifiedUntilEpochMs: 5 });
  const read = await copies.read('k');
  expect(read?.head).toMatchObject({ key: 'k', cacheControl: 'no-cache', modifiedUntilEpochMs: 5 });
  expect(Buffer.from(read?.bytes ?? []).toString()).toBe('k'.repeat(100));
  const first = copies.order;
  const { bytes } = copies.stats;
  await keep('k', 50);
  expect(copies.stats).toEqual({ entries: 1, bytes: expect.any(Number) });
  expect(copies.stats.bytes).toBeLessThan(bytes);
  expect(copies.order).toBe(first + 1);
  expect(copies.get('k')).toMatchObject({ key: 'k', size: 50, order: first + 1 });
  expect(await copies.read('unknown')).toBeUndefined();
  await copies.forget('k');
  expect([copies.get('k'), copies.stats]).toEqual([undefined, { entries: 0, bytes: 0 }]);
});

test('an upload counts as modified within the time in which it arrives, then since now', async () => {
  const { copies, keep } = await open();
  await keep('k');
  expect(copies.get('k')?.modifiedUntilEpochMs).toBe(EPOCH_MS + 2_000);
  copies.arrived('k');
  expect(copies.get('k')?.modifiedUntilEpochMs).toBe(EPOCH_MS);
  copies.arrived('unknown');
  expect(copies.stats.entries).toBe(1);
});

test('a longer object is not copied, and its older copy goes', async () => {
  const { copies, keep, keys } = await open({ maxCopyBytes: 100 });
  await keep('a', 100);
  await keep('b', 101);
  expect(keys()).toEqual(['a']);
  await keep('a', 101);
  expect(keys()).toEqual([]);
  await keep('a', 100);
  await copies.replace(headOf('a', Buffer.alloc(1)), undefined);
  expect(keys()).toEqual([]);
  const small = await open({ maxBytes: 50 });
  await small.keep('a', 51);
  expect(small.keys()).toEqual([]);
});

test('the least recently used copies make room, by number and by bytes', async () => {
  const { copies, keep, keys, files } = await open({ maxEntries: 3 });
  for (const key of ['a', 'b', 'c']) await keep(key);
  await copies.read('a');
  copies.touch('b');
  copies.touch('unknown');
  await keep('d');
  expect(keys()).toEqual(['a', 'b', 'd']);
  expect(files.names().filter((name) => name.endsWith('.copy'))).toHaveLength(3);
  const bounded = await open({ maxBytes: 3 * FILE_BYTES });
  for (const key of ['a', 'b', 'c', 'd', 'e']) await bounded.keep(key);
  expect(bounded.copies.stats.bytes).toBeLessThanOrEqual(3 * FILE_BYTES);
  expect(bounded.keys().at(-1)).toBe('e');
  expect(bounded.keys().length).toBeGreaterThanOrEqual(2);
});

test('a copy is removed only where it is behind', async () => {
  const { copies, keep, keys } = await open();
  await keep('k');
  const asked: string[] = [];
  await copies.forgetIf('k', ({ key }) => asked.push(key) === 0);
  await copies.forgetIf('unknown', () => asked.push('unknown') > 0);
  expect([keys(), asked]).toEqual([['k'], ['k']]);
  await copies.forgetIf('k', () => true);
  expect(keys()).toEqual([]);
});

test('a copy that is being written is judged once it is there', async () => {
  const { copies, keys } = await open();
  const bytes = Buffer.from('x');
  const replaced = copies.replace(headOf('k', bytes), bytes);
  // There was none before it.
  expect(replaced).toBeUndefined();
  await copies.forgetIf('k', () => true);
  await copies.close();
  expect(keys()).toEqual([]);
  void copies.replace(headOf('k', bytes), bytes);
  await copies.forget('k');
  expect([keys(), copies.stats.bytes]).toEqual([[], 0]);
});

test('the copies of an earlier process are found again, the least recently written first', async () => {
  const first = await open();
  await first.keep('a', 100, { modifiedUntilEpochMs: 7 });
  await first.keep('b', 50);
  const next = await open({}, first.files);
  expect(next.keys().toSorted()).toEqual(['a', 'b']);
  expect(next.copies.get('a')).toMatchObject({ size: 100, modifiedUntilEpochMs: 7, order: 0 });
  expect(next.copies.stats).toEqual(first.copies.stats);
  expect((await next.copies.read('b'))?.bytes.byteLength).toBe(50);
  const one = await open({ maxEntries: 1 }, first.files);
  expect(one.keys()).toHaveLength(1);
});

async function overwrite(files: MemoryFileSystem, name: string, at: number): Promise<void> {
  const file = await files.open(`/local/${name}`, 'write');
  await file.write(Buffer.from('!'), at);
  await file.close();
}

test('a copy with a damaged byte is no copy, and goes', async () => {
  const { copies, files, keep, keys } = await open();
  await keep('k');
  const name = files.names().find((one) => one.endsWith('.copy')) ?? '';
  const status = await files.status(name);
  await overwrite(files, name.split('/').at(-1) ?? '', (status?.bytes ?? 1) - 1);
  expect(await copies.read('k')).toBeUndefined();
  expect([keys(), copies.stats.bytes]).toEqual([[], 0]);
  expect(files.names().filter((one) => one.endsWith('.copy'))).toEqual([]);
});

test('a file that is no copy is removed when the directory is opened', async () => {
  const { files, keep } = await open();
  await keep('a');
  await keep('b');
  const name = files.names().find((one) => one.endsWith('.copy')) ?? '';
  await overwrite(files, name.split('/').at(-1) ?? '', 6);
  const next = await open({}, files);
  expect(next.keys()).toHaveLength(1);
  expect(files.names().filter((one) => one.endsWith('.copy'))).toHaveLength(1);
});

test('a copy that cannot be written is missing, and takes no room', async () => {
  const { copies, files, keep, keys } = await open();
  files.intercept = ({ kind }) => {
    if (kind === 'write') throw Object.assign(new Error('full'), { code: 'ENOSPC' });
  };
  await keep('k');
  expect([keys(), copies.stats]).toEqual([[], { entries: 0, bytes: 0 }]);
  files.intercept = () => undefined;
  await keep('k');
  expect(keys()).toEqual(['k']);
});

test('no more copies than so many wait to be written: the one too many is not kept', async () => {
  const { copies, keys } = await open({ maxEntries: 1_000 });
  const bytes = Buffer.from('x');
  for (let copy = 0; copy < 257; copy += 1) void copies.replace(headOf(`k${copy}`, bytes), bytes);
  await copies.close();
  expect(keys()).toHaveLength(256);
  expect(copies.get('k256')).toBeUndefined();
  void copies.replace(headOf('later', bytes), bytes);
  await copies.close();
  expect(copies.get('later')).toBeDefined();
});
