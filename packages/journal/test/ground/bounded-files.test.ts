import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, test } from '@jest/globals';
import { type FakeClock, createFakeClock } from '@holdfast/foundation/testing';
import { boundedFiles } from '../../src/files/bounded-files.ts';
import type { FileSystem, OpenFile } from '../../src/files/file-system.ts';
import { createMemoryFileSystem } from '../../src/files/memory-file-system.ts';

const IO_TIMEOUT_MS = 100;
const MOST = 2;

interface Disk {
  readonly files: FileSystem;
  readonly clock: FakeClock;
  /** The calls that were made, in order. */
  readonly made: string[];
  /** Lets the oldest call that was made and has not returned return, or fail. */
  answer(error?: Error): Promise<void>;
  readonly bound: (path?: string) => FileSystem;
}

/** A disk each call of which returns when the test says so. */
function openDisk(): Disk {
  const memory = createMemoryFileSystem();
  const clock = createFakeClock();
  const made: string[] = [];
  const unanswered: PromiseWithResolvers<void>[] = [];
  const call = async <T>(name: string, result: T): Promise<T> => {
    made.push(name);
    const answer = Promise.withResolvers<void>();
    unanswered.push(answer);
    await answer.promise;
    return result;
  };
  const file: OpenFile = {
    write: (data) => call('write', data.length),
    writeThrough: (data) => call('write', data.length),
    read: () => call('read', 0),
    sync: () => call('sync', undefined),
    truncate: () => call('truncate', undefined),
    close: () => call('close', undefined),
  };
  const files: FileSystem = {
    ...memory,
    status: (name) => call(`status ${name}`, { bytes: 1, modifiedMs: 1, inode: Number(name) }),
    open: (name) => call(`open ${name}`, file),
  };
  return {
    files,
    clock,
    made,
    bound: (path = '/journal') =>
      boundedFiles(files, path, { clock, ioTimeoutMs: IO_TIMEOUT_MS, maxConcurrent: MOST }),
    async answer(error) {
      const oldest = unanswered.shift();
      if (oldest === undefined) throw new Error('no call waits for an answer');
      if (error === undefined) oldest.resolve();
      else oldest.reject(error);
      await turns();
    },
  };
}

async function turns(): Promise<void> {
  for (let turn = 0; turn < 5; turn += 1) await nextTurn();
}

const names = (...numbers: number[]): string[] => numbers.map((number) => `status ${number}`);

/** The inode that the call returned, or the code of its error; 'open' while it has done neither. */
function watch(work: Promise<{ inode: number } | undefined>): { is: unknown } {
  const seen: { is: unknown } = { is: 'open' };
  work.then(
    (status) => (seen.is = status?.inode),
    (error: { code?: string; message: string }) => (seen.is = error.code ?? error.message),
  );
  return seen;
}

test('as many calls as permitted run at once, the others in their order, and each has its own result', async () => {
  const disk = openDisk();
  const files = disk.bound();
  const calls = [1, 2, 3, 4, 5].map((number) => watch(files.status(`${number}`)));
  await turns();
  expect(disk.made).toEqual(names(1, 2));
  await disk.answer();
  expect(disk.made).toEqual(names(1, 2, 3));
  await disk.answer(Object.assign(new Error('refused'), { code: 'EIO' }));
  expect(disk.made).toEqual(names(1, 2, 3, 4));
  for (let left = 0; left < 3; left += 1) await disk.answer();
  expect(calls.map(({ is }) => is)).toEqual([1, 'EIO', 3, 4, 5]);
  expect(disk.clock.pendingTimers).toBe(0);
});

test('a call that does not return in time fails with ETIMEDOUT, to the millisecond, and its late result is dropped', async () => {
  const disk = openDisk();
  const work = disk.bound().status('1');
  const call = watch(work);
  await disk.clock.advance(IO_TIMEOUT_MS - 1);
  await turns();
  expect(call.is).toBe('open');
  await disk.clock.advance(1);
  await turns();
  await expect(work).rejects.toMatchObject({
    code: 'ETIMEDOUT',
    syscall: 'stat 1',
    message: 'stat 1 did not return within 100 ms',
  });
  await disk.answer();
  expect(call.is).toBe('ETIMEDOUT');
  expect(disk.clock.pendingTimers).toBe(0);
});

test('calls that return in the turn of their deadline have returned, and do not count as hanging', async () => {
  const disk = openDisk();
  const files = disk.bound();
  for (let number = 1; number <= 2 * MOST; number += 1) {
    const call = watch(files.status(`${number}`));
    const late = disk.clock.advance(IO_TIMEOUT_MS);
    await disk.answer();
    await late;
    expect(call.is).toBe(number);
  }
  expect(disk.clock.pendingTimers).toBe(0);
});

test('while as many calls hang as may run, those that wait and new ones fail at once and are never made', async () => {
  const disk = openDisk();
  const files = disk.bound();
  const hung = [1, 2].map((number) => watch(files.status(`${number}`)));
  await disk.clock.advance(IO_TIMEOUT_MS - 1);
  const waiting = watch(files.status('3'));
  await disk.clock.advance(1);
  await turns();
  expect([...hung, waiting].map(({ is }) => is)).toEqual(Array(3).fill('ETIMEDOUT'));
  const late = watch(files.status('4'));
  await turns();
  expect(late.is).toBe('ETIMEDOUT');
  expect(disk.clock.pendingTimers).toBe(0);
  await disk.answer();
  await disk.answer();
  expect(disk.made).toEqual(names(1, 2));
  // The disk works again.
  const next = [5, 6, 7].map((number) => watch(files.status(`${number}`)));
  await turns();
  for (let left = 0; left < 3; left += 1) await disk.answer();
  expect(next.map(({ is }) => is)).toEqual([5, 6, 7]);
  expect(disk.made).toEqual(names(1, 2, 5, 6, 7));
});

test('while fewer calls hang than may run, the others go on; one that waited too long is not made', async () => {
  const disk = openDisk();
  const files = disk.bound();
  const hung = watch(files.status('1'));
  await disk.clock.advance(IO_TIMEOUT_MS - 1);
  const slow = watch(files.status('2'));
  await disk.clock.advance(1);
  await turns();
  expect([hung.is, slow.is]).toEqual(['ETIMEDOUT', 'open']);
  const waits = watch(files.status('3'));
  await disk.clock.advance(IO_TIMEOUT_MS - 2);
  await turns();
  expect([slow.is, waits.is]).toEqual(['open', 'open']);
  await disk.clock.advance(1);
  await turns();
  // Now two hang: what waited behind them is given up with them.
  expect([slow.is, waits.is]).toEqual(['ETIMEDOUT', 'ETIMEDOUT']);
  await disk.answer();
  const after = watch(files.status('4'));
  await turns();
  expect(disk.made).toEqual(names(1, 2, 4));
  await disk.answer();
  await disk.answer();
  expect(after.is).toBe(4);
  expect(disk.clock.pendingTimers).toBe(0);
});

test('a file that opens too late is closed, and an opening that fails too late throws nowhere', async () => {
  const disk = openDisk();
  const files = disk.bound();
  for (const error of [undefined, new Error('late')]) {
    const opening = watch(files.open('file', 'read').then(() => ({ inode: 0 })));
    await disk.clock.advance(IO_TIMEOUT_MS);
    await turns();
    expect(opening.is).toBe('ETIMEDOUT');
    await disk.answer(error);
  }
  expect(disk.made).toEqual(['open file', 'close', 'open file']);
});

test('a file whose closing could not wait its turn is closed all the same, once the disk answers', async () => {
  const disk = openDisk();
  const files = disk.bound();
  const opening = files.open('file', 'write');
  await turns();
  await disk.answer();
  const file = await opening;
  const hung = [1, 2].map((number) => watch(files.status(`${number}`)));
  await disk.clock.advance(IO_TIMEOUT_MS);
  await turns();
  const closing = watch(file.close().then(() => ({ inode: 0 })));
  const reading = watch(file.read(Buffer.alloc(1), 0).then(() => ({ inode: 0 })));
  await turns();
  expect([...hung, closing, reading].map(({ is }) => is)).toEqual(Array(4).fill('ETIMEDOUT'));
  await disk.answer();
  await disk.answer();
  await disk.answer();
  expect(disk.made).toEqual(['open file', ...names(1, 2), 'close']);
  const after = watch(files.status('3'));
  await turns();
  await disk.answer();
  expect(after.is).toBe(3);
});

test('a closing that hangs counts as one of the calls that do', async () => {
  const disk = openDisk();
  const files = disk.bound();
  const opening = files.open('file', 'write');
  await turns();
  await disk.answer();
  const file = await opening;
  watch(files.status('1'));
  watch(files.status('2'));
  await disk.clock.advance(IO_TIMEOUT_MS);
  await turns();
  const closing = watch(file.close().then(() => ({ inode: 0 })));
  await turns();
  await disk.answer();
  // The closing runs in the place of the first call, and nobody waits for it: two calls hang still.
  const refused = watch(files.status('3'));
  await turns();
  expect([closing.is, refused.is]).toEqual(['ETIMEDOUT', 'ETIMEDOUT']);
  await disk.answer();
  const accepted = watch(files.status('4'));
  await turns();
  expect(disk.made).toEqual(['open file', ...names(1, 2), 'close', 'status 4']);
  await disk.answer();
  await disk.answer();
  expect(accepted.is).toBe(4);
});

test('calls of one directory share their bounds, however often it is opened; those of another do not', async () => {
  const disk = openDisk();
  const [one, again, other] = [disk.bound(), disk.bound(), disk.bound('/other')];
  watch(one.status('1'));
  watch(one.status('2'));
  watch(again.status('3'));
  watch(other.status('4'));
  await turns();
  expect(disk.made).toEqual(names(1, 2, 4));
  await disk.answer();
  expect(disk.made).toEqual(names(1, 2, 4, 3));
});
