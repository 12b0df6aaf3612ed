import { expect, test } from '@jest/globals';
import { type FakeClock, createFakeClock } from '@holdfast/foundation/testing';
import {
  type MemoryFileSystem,
  createMemoryFileSystem,
  errno,
} from '../../src/files/memory-file-system.ts';
import { takeOwnership } from '../../src/ownership/claim.ts';
import type { LostError, Ownership } from '../../src/ownership/ownership.ts';

const DIRECTORY = '/journal';
const STALE_MS = 10_000;

interface Bench {
  readonly memory: MemoryFileSystem;
  readonly clock: FakeClock;
  readonly owner: Ownership;
  readonly lost: LostError[];
  /** How often the owner's file was touched. */
  readonly beats: () => number;
}

async function take(memory = createMemoryFileSystem()): Promise<Bench> {
  const clock = createFakeClock();
  const owner = await takeOwnership({
    files: memory,
    directory: DIRECTORY,
    clock,
    heartbeatMs: 60_000,
    ownerStaleMs: STALE_MS,
    acquireTimeoutMs: 0,
    signal: undefined,
  });
  const lost: LostError[] = [];
  owner.onLost = (error) => lost.push(error);
  let beats = 0;
  memory.intercept = ({ kind, name }) => {
    if (kind === 'write' && name === `owner.${owner.epoch}`) beats += 1;
  };
  return { memory, clock, owner, lost, beats: () => beats };
}

/** Another machine has taken the directory over. */
async function replace(memory: MemoryFileSystem): Promise<Buffer> {
  const record = { token: 'other', pid: 9, host: 'elsewhere', sinceEpochMs: 0, released: false };
  const file = await memory.open(`${DIRECTORY}/owner.9`, 'create');
  await file.write(Buffer.from(JSON.stringify(record)), 0);
  return Buffer.from(memory.content('owner.9'));
}

test('the right is certain for half of the time in which nobody may take it, and is checked after that', async () => {
  const { clock, owner, beats } = await take();
  expect(owner.confirm()).toBeUndefined();
  // The machine was suspended: the monotonic clock and the timers stood.
  clock.stepWallClock(STALE_MS / 2);
  expect(owner.confirm()).toBeUndefined();
  clock.stepWallClock(1);
  await owner.confirm();
  expect(beats()).toBe(1);
  // The check counts from its own time on.
  clock.stepWallClock(STALE_MS / 2);
  expect(owner.confirm()).toBeUndefined();
  await owner.release();
});

test('beats that fail prove nothing: the right becomes uncertain, and is certain again after one that does not', async () => {
  const { memory, clock, owner } = await take();
  memory.intercept = ({ kind }) => {
    if (kind === 'write') throw errno('EIO');
  };
  await clock.advance(STALE_MS / 2);
  expect(owner.failure).toMatchObject({ code: 'EIO' });
  expect(owner.confirm()).toBeUndefined();
  await clock.advance(1);
  await expect(owner.confirm()).rejects.toMatchObject({ code: 'EIO' });
  memory.intercept = () => undefined;
  await owner.beat();
  expect(owner.failure).toBeUndefined();
  expect(owner.confirm()).toBeUndefined();
  await owner.release();
});

test('a beat touches the file and changes nothing in it; asked for twice it is one', async () => {
  const { memory, clock, owner, beats } = await take();
  const before = memory.content('owner.1').toString();
  await Promise.all([owner.beat(), owner.beat()]);
  expect([beats(), memory.content('owner.1').toString()]).toEqual([1, before]);
  // The next one comes as long after it as after any.
  await clock.advance(STALE_MS / 4 - 1);
  expect(beats()).toBe(1);
  await clock.advance(1);
  expect(beats()).toBe(2);
  expect(clock.pendingTimers).toBe(1);
  await owner.release();
  expect(clock.pendingTimers).toBe(0);
});

test('an owner that was replaced is told once, stops beating, and leaves what the next one has', async () => {
  const { memory, clock, owner, lost, beats } = await take();
  const next = await replace(memory);
  await owner.beat();
  expect(lost).toMatchObject([{ code: 'JOURNAL_LOCKED', host: 'elsewhere', pid: 9 }]);
  expect(clock.pendingTimers).toBe(0);
  await expect(owner.confirm()).rejects.toBe(lost[0]);
  expect(await owner.isInPlace(undefined)).toBe(true);
  await owner.beat();
  expect(lost).toHaveLength(1);
  const own = memory.content('owner.1').toString();
  const touched = beats();
  await owner.release();
  await owner.release();
  expect([lost.length, beats()]).toEqual([1, touched]);
  expect(memory.content('owner.1').toString()).toBe(own);
  expect(memory.content('owner.9')).toEqual(next);
  expect(memory.names()).toEqual(['owner.1', 'owner.9']);
});

test('a check in the moment of a loss rejects with it', async () => {
  const { memory, clock, owner, lost } = await take();
  await replace(memory);
  clock.stepWallClock(STALE_MS);
  await expect(owner.confirm()).rejects.toMatchObject({ code: 'JOURNAL_LOCKED', retryable: false });
  expect(lost).toHaveLength(1);
  await owner.release();
});

test('whether the directory is in place: by the file of the owner itself, and the other one that has to be there', async () => {
  const there = await take();
  await there.memory.open(`${DIRECTORY}/segment`, 'create');
  expect(await there.owner.isInPlace(`${DIRECTORY}/segment`)).toBe(true);
  expect(await there.owner.isInPlace(`${DIRECTORY}/another`)).toBe(false);
  expect(there.lost).toMatchObject([{ code: 'JOURNAL_UNAVAILABLE' }]);

  const copied = await take();
  const content = Buffer.from(copied.memory.content('owner.1'));
  await copied.memory.remove(`${DIRECTORY}/owner.1`);
  const copy = await copied.memory.open(`${DIRECTORY}/owner.1`, 'create');
  await copy.write(content, 0);
  expect(await copied.owner.isInPlace(undefined)).toBe(false);
  expect(copied.lost).toMatchObject([{ code: 'JOURNAL_UNAVAILABLE' }]);
});

test.each([
  ['ENOENT', false],
  ['ENOTDIR', false],
  ['ESTALE', false],
  ['EIO', true],
  ['EACCES', true],
])('a directory whose files answer %s: in place is %p', async (code, isThere) => {
  const { memory, owner, lost } = await take();
  Object.assign(memory, { status: () => Promise.reject(errno(code)) });
  expect(await owner.isInPlace(undefined)).toBe(isThere);
  expect(lost).toHaveLength(isThere ? 0 : 1);
});

test('an owner that has released hears of nothing, and the next one has the following epoch', async () => {
  const { memory, owner, lost } = await take();
  await owner.release();
  await replace(memory);
  await owner.beat();
  expect(lost).toEqual([]);
  await memory.remove(`${DIRECTORY}/owner.9`);
  expect((await take(memory)).owner.epoch).toBe(2);
});

test('a release that the disk refuses is told, and this process may take the directory all the same', async () => {
  const { memory, owner } = await take();
  memory.intercept = ({ kind }) => {
    if (kind === 'rename') throw errno('EROFS');
  };
  await expect(owner.release()).rejects.toMatchObject({ code: 'EROFS' });
  memory.intercept = () => undefined;
  expect((await take(memory)).owner.epoch).toBe(2);
});
