import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, test } from '@jest/globals';
import { type FakeClock, createFakeClock } from '@holdfast/foundation/testing';
import { GroupCommit } from '../../src/commit/group-commit.ts';

const MIB = 1_048_576;
const IO_TIMEOUT_MS = 100;
const written = new Error('the batch hangs');
const waiting = new Error('the disk hangs');

interface Deps {
  readonly capacity?: (firstUnitBytes: number) => number;
  readonly pauseMs?: number;
  readonly lastProgressMs?: () => number;
}

interface World {
  readonly group: GroupCommit;
  readonly clock: FakeClock;
  /** The bytes of each unit that reached the disk, by batch. */
  readonly batches: number[][];
  /** The numbers of records that ended late. */
  readonly resumed: number[];
  /** Set, a batch waits for it, and fails if it rejects. */
  disk: Promise<void>;
}

function open({
  capacity = () => Infinity,
  pauseMs = 0,
  lastProgressMs = () => 0,
}: Deps = {}): World {
  const clock = createFakeClock();
  const batches: number[][] = [];
  const resumed: number[] = [];
  let next = 1;
  const group: GroupCommit = new GroupCommit({
    capacity,
    pauseMs,
    clock,
    ioTimeoutMs: IO_TIMEOUT_MS,
    lastProgressMs,
    async commit({ payloads, bytes }) {
      batches.push(payloads.map(({ length }) => length));
      expect(payloads.reduce((sum, { length }) => sum + length, 0)).toBe(bytes);
      await world.disk;
      const first = next;
      next += payloads.length;
      return first;
    },
    onStalled: () => ({ written, waiting }),
    onResumed: (late) => resumed.push(late),
  });
  const world: World = { group, clock, batches, resumed, disk: Promise.resolve() };
  return world;
}

/** Appends one unit with records of these sizes. */
function add({ group }: World, ...sizes: number[]): Promise<number> {
  const payloads = sizes.map((size) => Buffer.alloc(size));
  return group.add(
    payloads,
    sizes.reduce((sum, size) => sum + size, 0),
  );
}

const outcomeOf = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    (first) => first,
    (error: unknown) => error,
  );

async function turns(count = 5): Promise<void> {
  for (let turn = 0; turn < count; turn += 1) await nextTurn();
}

test('calls of one turn share batches up to the capacity; a call is never split, and a larger one goes alone', async () => {
  const firsts: number[] = [];
  const world = open({
    capacity: (first) => {
      firsts.push(first);
      return 100;
    },
  });
  const all = [add(world, 30, 30), add(world, 40), add(world, 1), add(world, 200), add(world, 5)];
  expect([world.group.pendingRecords, world.group.pendingBytes]).toEqual([6, 306]);
  expect(await Promise.all(all)).toEqual([1, 3, 4, 5, 6]);
  expect(world.batches).toEqual([[30, 30, 40], [1], [200], [5]]);
  expect(firsts).toEqual([60, 1, 200, 5]);
  expect([world.group.pendingRecords, world.group.pendingBytes]).toEqual([0, 0]);
});

test('a batch holds a mebibyte and not a byte more, whatever a segment holds', async () => {
  const world = open();
  await Promise.all([add(world, MIB - 10), add(world, 10), add(world, 1), add(world, MIB)]);
  expect(world.batches).toEqual([[MIB - 10, 10], [1], [MIB]]);
});

test('calls that come while a batch is written wait for the next one', async () => {
  const world = open();
  const disk = Promise.withResolvers<void>();
  world.disk = disk.promise;
  const first = add(world, 1);
  await turns();
  const others = [add(world, 2), add(world, 3)];
  await turns();
  expect(world.batches).toEqual([[1]]);
  expect(world.group.pendingRecords).toBe(3);
  disk.resolve();
  expect(await Promise.all([first, ...others])).toEqual([1, 2, 3]);
  expect(world.batches).toEqual([[1], [2, 3]]);
});

test('a batch that fails rejects its own calls, and the next ones go on', async () => {
  const world = open({ capacity: () => 1 });
  const refusal = new Error('no space');
  const disk = Promise.withResolvers<void>();
  world.disk = disk.promise;
  const outcomes = [add(world, 1), add(world, 1)].map(outcomeOf);
  await turns();
  disk.reject(refusal);
  world.disk = Promise.resolve();
  expect(await Promise.all(outcomes)).toEqual([refusal, 1]);
  expect([world.group.pendingRecords, world.group.pendingBytes]).toEqual([0, 0]);
  expect(world.resumed).toEqual([]);
  expect(world.clock.pendingTimers).toBe(0);
});

test('the pause lasts from the end of a batch, to the millisecond; the first batch has none', async () => {
  const world = open({ pauseMs: 50 });
  await add(world, 1);
  await world.clock.advance(20);
  const second = add(world, 2);
  await turns();
  await world.clock.advance(29);
  await turns();
  expect(world.batches).toEqual([[1]]);
  await world.clock.advance(1);
  expect(await second).toBe(2);
  await world.clock.advance(50);
  await add(world, 3);
  expect(world.batches).toEqual([[1], [2], [3]]);
  expect(world.clock.pendingTimers).toBe(0);
});

test('a drain ends the pause at once, and there is none after it', async () => {
  const world = open({ pauseMs: 50 });
  await add(world, 1);
  const all = [add(world, 2)];
  await turns();
  expect(world.batches).toHaveLength(1);
  await world.group.drain();
  all.push(add(world, 3));
  expect(await Promise.all(all)).toEqual([2, 3]);
  expect(world.clock.now()).toBe(createFakeClock().now());
  expect(world.clock.pendingTimers).toBe(0);
});

test('a failure rejects what waits and each later call, and ends the pause; what is being written goes on', async () => {
  const paused = open({ pauseMs: 50 });
  await add(paused, 1);
  const waits = outcomeOf(add(paused, 2));
  await turns();
  paused.group.fail(waiting);
  expect(await waits).toBe(waiting);
  await paused.group.ended();
  expect(await outcomeOf(add(paused, 3))).toBe(waiting);
  expect(paused.batches).toEqual([[1]]);
  expect(paused.clock.pendingTimers).toBe(0);
  expect([paused.group.pendingRecords, paused.group.pendingBytes]).toEqual([0, 0]);

  const writing = open();
  const disk = Promise.withResolvers<void>();
  writing.disk = disk.promise;
  const first = add(writing, 1);
  await turns();
  const behind = outcomeOf(add(writing, 2));
  writing.group.fail(waiting);
  expect(await behind).toBe(waiting);
  disk.resolve();
  expect(await first).toBe(1);
});

test('a batch that hangs gives its callers up, each with what is known of it; a drain does not wait for it', async () => {
  const world = open();
  const disk = Promise.withResolvers<void>();
  world.disk = disk.promise;
  const batch = outcomeOf(add(world, 1, 1));
  await turns();
  const behind = outcomeOf(add(world, 3));
  await world.clock.advance(IO_TIMEOUT_MS - 1);
  await turns();
  expect(world.group.isStalled).toBe(false);
  const drained = world.group.drain();
  await world.clock.advance(1);
  expect([await batch, await behind]).toEqual([written, waiting]);
  await drained;
  expect(world.group.isStalled).toBe(true);
  await world.group.drain();
  expect(await outcomeOf(add(world, 4))).toBe(waiting);
  expect([world.group.pendingRecords, world.group.pendingBytes]).toEqual([0, 0]);
  world.disk = Promise.resolve();
  disk.resolve();
  await world.group.ended();
  expect(world.resumed).toEqual([2]);
  expect(world.group.isStalled).toBe(false);
  expect(await add(world, 5)).toBe(3);
  expect(world.batches).toEqual([[1, 1], [5]]);
  expect([world.group.pendingRecords, world.group.pendingBytes]).toEqual([0, 0]);
  expect(world.clock.pendingTimers).toBe(0);
});

test('a batch that hangs and fails at last leaves no record behind', async () => {
  const world = open();
  const disk = Promise.withResolvers<void>();
  world.disk = disk.promise;
  const batch = outcomeOf(add(world, 1));
  await turns();
  await world.clock.advance(IO_TIMEOUT_MS);
  expect(await batch).toBe(written);
  disk.reject(new Error('EIO'));
  await world.group.ended();
  expect(world.resumed).toEqual([0]);
  expect([world.group.isStalled, world.group.pendingRecords]).toEqual([false, 0]);
});

test('a disk that makes progress is waited for: the deadline begins again with it', async () => {
  let progressMs = 0;
  const world = open({ lastProgressMs: () => progressMs });
  const disk = Promise.withResolvers<void>();
  world.disk = disk.promise;
  const batch = outcomeOf(add(world, 1));
  await turns();
  for (let round = 0; round < 3; round += 1) {
    await world.clock.advance(IO_TIMEOUT_MS - 10);
    progressMs = world.clock.now();
    await turns();
  }
  expect(world.group.isStalled).toBe(false);
  await world.clock.advance(IO_TIMEOUT_MS - 1);
  await turns();
  expect(world.group.isStalled).toBe(false);
  await world.clock.advance(1);
  await turns();
  expect(world.group.isStalled).toBe(true);
  disk.resolve();
  expect(await batch).toBe(written);
  await world.group.ended();
});

test('a batch that ends in the turn of its deadline has not hung', async () => {
  const world = open();
  const disk = Promise.withResolvers<void>();
  world.disk = disk.promise;
  const batch = add(world, 1);
  await turns();
  // After a blockade of the event loop: the deadline is noticed first, then the answer of the disk.
  world.clock.schedule(IO_TIMEOUT_MS, () => disk.resolve());
  await world.clock.advance(IO_TIMEOUT_MS);
  expect(await batch).toBe(1);
  await turns();
  expect(world.group.isStalled).toBe(false);
  expect(world.resumed).toEqual([]);
  expect(world.clock.pendingTimers).toBe(0);
});
