import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, test } from '@jest/globals';
import { type FakeClock, createFakeClock } from '@holdfast/foundation/testing';
import type { FileSystem } from '../../src/index.ts';
import {
  type MemoryFileSystem,
  createMemoryFileSystem,
} from '../../src/files/memory-file-system.ts';
import { takeOwnership } from '../../src/ownership/claim.ts';
import type { Ownership, OwnershipOptions } from '../../src/ownership/ownership.ts';

const DIRECTORY = '/journal';
const BEAT_MS = 1_000_000;

interface Bench {
  readonly memory: MemoryFileSystem;
  readonly clock: FakeClock;
  /** When the owner's file was last written, by the clock of the disk. */
  beatMs: number;
  readonly take: (options: Partial<OwnershipOptions>) => Promise<Ownership>;
}

/**
 * A directory whose owner runs in another container, where only its file can be seen.
 * @param silentMs for how long it has not been written, by the clock of the disk, which then stands.
 */
async function ownedElsewhere(silentMs: number, record: object = {}): Promise<Bench> {
  const memory = createMemoryFileSystem();
  const clock = createFakeClock();
  const file = await memory.open(`${DIRECTORY}/owner.1`, 'create');
  const owner = { token: 'other', pid: 9, host: 'elsewhere', sinceEpochMs: 0, released: false };
  await file.write(Buffer.from(JSON.stringify({ ...owner, ...record })), 0);
  const files: FileSystem = {
    ...memory,
    async status(path) {
      const modifiedMs = path.endsWith('owner.1') ? bench.beatMs : BEAT_MS + silentMs;
      const status = await memory.status(path);
      return status && { ...status, modifiedMs };
    },
  };
  const bench: Bench = {
    memory,
    clock,
    beatMs: BEAT_MS,
    take: (options) =>
      takeOwnership({
        files,
        directory: DIRECTORY,
        clock,
        heartbeatMs: 1_000,
        ownerStaleMs: 10_000,
        acquireTimeoutMs: 0,
        signal: undefined,
        ...options,
      }),
  };
  return bench;
}

test('without watching an owner is dead once its file is as old as the owner has stated, not a moment before', async () => {
  const fresh = await ownedElsewhere(4_999, { staleMs: 5_000 });
  await expect(fresh.take({})).rejects.toMatchObject({
    code: 'JOURNAL_LOCKED',
    host: 'elsewhere',
    retryAfterMs: 1,
  });
  expect(fresh.memory.names()).toEqual(['owner.1']);
  const stale = await ownedElsewhere(5_000, { staleMs: 5_000 });
  expect((await stale.take({})).epoch).toBe(2);
  expect(stale.memory.names()).toEqual(['owner.2']);
});

test.each([
  ['is old already, for half of what it has stated', 60_000, 2_500],
  ['is just old enough, for half of it', 5_000, 2_500],
  ['does not grow older, because the clock of the disk stands, for all of it', 1_000, 5_000],
  ['is newer than the clock of the disk, which was set back, for all of it', -3_600_000, 5_000],
])('an owner whose file %s is watched', async (_, silentMs, tookMs) => {
  const enough = await ownedElsewhere(silentMs, { staleMs: 5_000 });
  const startMs = enough.clock.now();
  const taken = await enough.clock.settle(enough.take({ acquireTimeoutMs: tookMs }));
  expect([taken.epoch, enough.clock.now() - startMs]).toEqual([2, tookMs]);
  await taken.release();

  const tooShort = await ownedElsewhere(silentMs, { staleMs: 5_000 });
  const refused = tooShort.clock.settle(tooShort.take({ acquireTimeoutMs: tookMs - 1 }));
  await expect(refused).rejects.toMatchObject({ code: 'JOURNAL_LOCKED' });
  expect(tooShort.memory.names()).toEqual(['owner.1']);
});

test.each([
  [5_000, 15_000],
  [20_000, 20_000],
])(
  'an owner that has stated nothing may be silent for 15 s, or for our own ownerStaleMs (%i) if that is longer',
  async (ownerStaleMs, staleMs) => {
    const fresh = await ownedElsewhere(staleMs - 1);
    await expect(fresh.take({ ownerStaleMs })).rejects.toMatchObject({ retryAfterMs: 1 });
    const stale = await ownedElsewhere(staleMs);
    expect((await stale.take({ ownerStaleMs })).epoch).toBe(2);
  },
);

test('an owner whose file changes while it is watched is alive, and the claim is given up at once', async () => {
  const bench = await ownedElsewhere(0, { staleMs: 60_000 });
  const taking = bench.take({ acquireTimeoutMs: 120_000 });
  const outcome = taking.then(
    () => 'taken',
    (error: { code: string }) => error.code,
  );
  let isOver = false;
  void outcome.then(() => (isOver = true));
  const over = (): boolean => isOver;
  while (bench.clock.pendingTimers === 0) await nextTurn();
  bench.beatMs += 1;
  while (!over()) await bench.clock.advance(50);
  expect(await outcome).toBe('JOURNAL_LOCKED');
  expect(bench.clock.now()).toBeLessThanOrEqual(createFakeClock().now() + 1_500);
  expect(bench.memory.names()).toEqual(['owner.1']);
});

test('what a dead owner had prepared goes before the directory is claimed, and nothing of one that may live', async () => {
  const spares = ['spare.1', 'spare.2'];
  const dead = await ownedElsewhere(0, { released: true });
  for (const name of spares) await dead.memory.open(`${DIRECTORY}/${name}`, 'create');
  expect((await dead.take({})).epoch).toBe(2);
  expect(dead.memory.names()).toEqual(['owner.2', 'spare.2']);

  const silent = await ownedElsewhere(60_000, { staleMs: 5_000 });
  for (const name of spares) await silent.memory.open(`${DIRECTORY}/${name}`, 'create');
  await silent.take({});
  expect(silent.memory.names()).toEqual(['owner.2', ...spares]);
});

/** Opens once a second, as whoever wants the directory does, until it is taken; resolves with how long that took. */
async function openAgainAndAgain(bench: Bench, most: number): Promise<number | undefined> {
  const startMs = bench.clock.now();
  for (let attempt = 0; attempt < most; attempt += 1) {
    const taking = bench.take({ acquireTimeoutMs: 20_000 });
    const taken = await bench.clock.settle(taking).catch(() => undefined);
    if (taken !== undefined) {
      await taken.release();
      return bench.clock.now() - startMs;
    }
    await bench.clock.advance(1_000);
  }
  return undefined;
}

test.each([
  ['is old already', 3_600_000, 50_000],
  ['does not grow older', 0, 100_000],
])(
  'an owner that may be silent for longer than one opening watches, and whose file %s, is watched on by the next one',
  async (_, silentMs, leastMs) => {
    const bench = await ownedElsewhere(silentMs, { staleMs: 100_000 });
    const tookMs = (await openAgainAndAgain(bench, 10)) ?? Infinity;
    expect(tookMs).toBeGreaterThanOrEqual(leastMs);
    expect(tookMs).toBeLessThanOrEqual(leastMs + 1_000);
  },
);

test('an owner that beats between two openings is watched from then on', async () => {
  const bench = await ownedElsewhere(3_600_000, { staleMs: 60_000 });
  const first = bench.take({ acquireTimeoutMs: 20_000 });
  await expect(bench.clock.settle(first)).rejects.toMatchObject({ code: 'JOURNAL_LOCKED' });
  bench.beatMs += 1;
  const tookMs = (await openAgainAndAgain(bench, 10)) ?? Infinity;
  expect(tookMs).toBeGreaterThanOrEqual(30_000);
  expect(tookMs).toBeLessThanOrEqual(31_000);
});
