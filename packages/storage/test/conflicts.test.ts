import { expect, test } from '@jest/globals';
import { type Clock, nextEvent } from '@holdfast/foundation';
import { createFakeClock } from '@holdfast/foundation/testing';
import { createMemoryBackend } from '../src/backends/memory.ts';
import type { StorageOptions } from '../src/options.ts';
import { AWAY, openTestStorage, textAt, writeElsewhere } from './open-storage.ts';

/** Writes ours during an outage and theirs on the server meanwhile, then ends the outage. */
async function collide(
  conflicts: NonNullable<StorageOptions['conflicts']>,
  first: 'ours' | 'theirs',
  serverIsAheadMs = 0,
) {
  const clock = createFakeClock();
  const skewed: Clock = {
    now: () => clock.now(),
    epochMs: () => clock.epochMs() + serverIsAheadMs,
    schedule: (delayMs, run, options) => clock.schedule(delayMs, run, options),
  };
  const server = createMemoryBackend({ name: 'primary', clock: skewed });
  const opened = await openTestStorage(
    { conflicts, acknowledgeWithinMs: 0 },
    { clock, primary: server },
  );
  const { storage, primary } = opened;
  primary.intercept = () => ({ before: AWAY });
  if (first === 'theirs') writeElsewhere(primary, 'k', 'theirs');
  await clock.advance(10_000);
  await storage.upload('k', 'ours');
  await clock.advance(10_000);
  if (first === 'ours') writeElsewhere(primary, 'k', 'theirs');
  primary.intercept = () => undefined;
  const conflict = nextEvent(storage, 'conflict');
  await clock.settle(storage.flush({ deadlineMs: 600_000 }));
  const beside = [...primary.objects.keys()].filter((key) => key.startsWith('.conflicts/k.'));
  return { ...opened, conflict: await conflict, beside };
}

test('latest-wins keeps theirs if it is the later one, and ours under another key', async () => {
  const { storage, primary, conflict, beside } = await collide('latest-wins', 'ours');
  expect(conflict).toMatchObject({ backend: 'primary', path: 'k', resolution: 'keep-both' });
  expect(textAt(primary, 'k')).toBe('theirs');
  expect(beside.map((key) => textAt(primary, key))).toEqual(['ours']);
  expect(storage.pending()).toEqual([]);
  await storage.close();
});

test('latest-wins keeps ours if it is the later one', async () => {
  const { storage, primary, conflict, beside } = await collide('latest-wins', 'theirs');
  expect(conflict.resolution).toBe('ours');
  expect(textAt(primary, 'k')).toBe('ours');
  expect(beside).toEqual([]);
  await storage.close();
});

test.each([3_600_000, -3_600_000])(
  'latest-wins is not misled by a server whose clock is %d ms ahead',
  async (serverIsAheadMs) => {
    const theirs = await collide('latest-wins', 'ours', serverIsAheadMs);
    expect(textAt(theirs.primary, 'k')).toBe('theirs');
    expect(theirs.conflict.resolution).toBe('keep-both');
    await theirs.storage.close();
    const ours = await collide('latest-wins', 'theirs', serverIsAheadMs);
    expect(textAt(ours.primary, 'k')).toBe('ours');
    await ours.storage.close();
  },
);

test('a write that waited while the wall clock was set back does not count as fresh', async () => {
  const { storage, clock, primary } = await openTestStorage({
    conflicts: 'keep-both',
    acknowledgeWithinMs: 0,
    circuitBreaker: { openDurationMs: 30_000 },
  });
  primary.intercept = () => ({ before: AWAY });
  for (let write = 0; write < 5; write += 1) await storage.upload(`k${write}`, 'x');
  await clock.advance(1_000);
  await storage.upload('k', 'ours');
  clock.stepWallClock(-3_600_000);
  await clock.advance(10_000);
  writeElsewhere(primary, 'k', 'theirs');
  primary.intercept = () => undefined;
  await clock.settle(storage.flush({ deadlineMs: 600_000 }));
  expect(textAt(primary, 'k')).toBe('theirs');
  await storage.close();
});

test('keep-both keeps both, whichever is later', async () => {
  const { storage, primary, beside } = await collide('keep-both', 'theirs');
  expect(textAt(primary, 'k')).toBe('theirs');
  expect(beside.map((key) => textAt(primary, key))).toEqual(['ours']);
  await storage.close();
});

test('remote-wins and local-wins decide without a clock', async () => {
  const remote = await collide('remote-wins', 'theirs');
  expect([textAt(remote.primary, 'k'), remote.beside]).toEqual(['theirs', []]);
  await remote.storage.close();
  const local = await collide('local-wins', 'ours');
  expect([textAt(local.primary, 'k'), local.beside]).toEqual(['ours', []]);
  await local.storage.close();
});

test('refuse leaves theirs in place, and ours pending for an operator', async () => {
  const { storage, primary } = await collide('refuse', 'ours');
  expect(textAt(primary, 'k')).toBe('theirs');
  expect(storage.pending()).toMatchObject([{ path: 'k', refused: { kind: 'conflict' } }]);
  await storage.close();
});

test('a callback decides, and a callback that throws overwrites nothing', async () => {
  const asked = await collide(({ kind, ageMs, theirs }) => {
    expect([kind, theirs.size, ageMs > (theirs.ageMs ?? 0)]).toEqual(['put', 6, true]);
    return 'ours';
  }, 'ours');
  expect(textAt(asked.primary, 'k')).toBe('ours');
  await asked.storage.close();
  const broken = await collide(() => {
    throw new Error('undecided');
  }, 'ours');
  expect(textAt(broken.primary, 'k')).toBe('theirs');
  await broken.storage.close();
});

test('a write that did not wait is the latest and needs no conflict check', async () => {
  const { storage, clock, primary } = await openTestStorage();
  writeElsewhere(primary, 'k', 'theirs');
  await clock.settle(storage.upload('k', 'ours'));
  expect(textAt(primary, 'k')).toBe('ours');
  expect(storage.getStats()).toMatchObject({ conflicts: 0, backends: { primary: { heads: 0 } } });
  await storage.close();
});
