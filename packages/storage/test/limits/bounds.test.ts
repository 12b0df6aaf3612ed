import { expect, test } from '@jest/globals';
import { fail } from '../../src/backend.ts';
import { StorageFullError } from '../../src/errors.ts';
import { createMemoryFileSystem } from '@holdfast/journal/testing';
import { AWAY, LOST, openTestStorage, textAt, writeElsewhere } from '../open-storage.ts';

const throttled = (retryAfterMs: number) =>
  fail('transient', 'HTTP 429 SlowDown', { retryAfterMs });

test.each([
  ['1 second', 1_000, 1_000],
  ['40 seconds, longer than the circuit opens for', 40_000, 40_000],
  ['a year, which is a mistake', 31_536_000_000, 3_600_000],
])(
  'nothing is sent to a backend that asks to wait for %s, and then soon',
  async (_name, askedMs, waitedMs) => {
    const { storage, clock, primary } = await openTestStorage({ acknowledgeWithinMs: 0 });
    const sentAtMs: number[] = [];
    primary.intercept = ({ kind }) => {
      if (kind !== 'put') return undefined;
      sentAtMs.push(clock.now());
      return sentAtMs.length === 1 ? { before: throttled(askedMs) } : undefined;
    };
    await storage.upload('first', 'x');
    await clock.advance(1);
    const [askedAtMs = 0] = sentAtMs;
    for (let write = 0; write < 5; write += 1) await storage.upload(`k${write}`, 'x');
    await clock.advance(waitedMs - 2);
    expect(storage.health().backends['primary']?.state).toBe('down');
    expect(sentAtMs).toEqual([askedAtMs]);
    await clock.advance(1_000);
    expect(sentAtMs[1]).toBeGreaterThanOrEqual(askedAtMs + waitedMs);
    expect(await clock.settle(storage.flush({ deadlineMs: 5_000 }))).toBe(0);
    expect(storage.health().level).toBe('healthy');
    await storage.close();
  },
);

test('the answer that was lost is that of one key: the other key is not checked or sent again', async () => {
  const { storage, clock, primary } = await openTestStorage({ acknowledgeWithinMs: 0 });
  const calls: string[] = [];
  primary.intercept = ({ kind, key }) => {
    calls.push(`${kind} ${key}`);
    const isLost =
      kind === 'put' && key === 'lost' && calls.filter((call) => call === 'put lost').length === 1;
    return isLost ? { after: LOST } : undefined;
  };
  await Promise.all([storage.upload('lost', 'one'), storage.upload('kept', 'two')]);
  expect(await clock.settle(storage.flush({ deadlineMs: 60_000 }))).toBe(0);
  expect(calls.toSorted()).toEqual(['head lost', 'put kept', 'put lost']);
  expect(storage.getStats().backends['primary']).toMatchObject({ puts: 2, alreadyApplied: 1 });
  expect([textAt(primary, 'lost'), textAt(primary, 'kept')]).toEqual(['one', 'two']);
  await storage.close();
});

test.each([0, 1_000, 4_900])(
  'restarted within %d ms of a write, the next process does not overwrite another writer’s newer object',
  async (sinceMs) => {
    for (const isRemoved of [false, true]) {
      const first = await openTestStorage({ acknowledgeWithinMs: 0 });
      await first.storage.upload('k', 'before');
      await first.clock.settle(first.storage.flush({ deadlineMs: 60_000 }));
      first.primary.intercept = () => ({ before: AWAY });
      if (isRemoved) await first.storage.remove('k');
      else await first.storage.upload('k', 'ours');
      await first.clock.advance(sinceMs);
      writeElsewhere(first.primary, 'k', 'theirs');
      first.primary.intercept = () => undefined;
      const { storage, clock, primary } = await first.restart();
      await clock.settle(storage.flush({ deadlineMs: 120_000 }));
      expect(textAt(primary, 'k')).toBe('theirs');
      expect(storage.getStats().conflicts).toBe(1);
      await storage.close();
    }
  },
);

test('writes that could not be made durable take no room: failed removals and uploads, more than fit', async () => {
  const files = createMemoryFileSystem();
  const journal = { directory: '/storage', maxPending: 3, maxBytes: 100 };
  const { storage, clock, primary } = await openTestStorage(
    { acknowledgeWithinMs: 0, journal },
    { files },
  );
  primary.intercept = () => ({ before: AWAY });
  for (let round = 0; round < 5; round += 1) {
    files.intercept = ({ kind }) => {
      if (kind === 'write' || kind === 'sync')
        throw Object.assign(new Error('no space'), { code: 'ENOSPC' });
    };
    const failed = await Promise.allSettled(
      ['a', 'b', 'c'].map((key) => clock.settle(storage.remove(key))),
    );
    expect(failed.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected']);
    files.intercept = () => undefined;
    await clock.advance(5_000);
  }
  expect(storage.getStats()).toMatchObject({ journalBytes: 0, pendingWrites: 0 });
  for (const key of ['a', 'b', 'c']) await clock.settle(storage.remove(key));
  await expect(storage.remove('d')).rejects.toMatchObject({ limit: 'maxPending' });
  await storage.close({ deadlineMs: 0 });
});

test.each([
  ['maxPending', { maxPending: 2 }, [1, 1], 1],
  ['maxBytes', { maxBytes: 100 }, [60, 40], 1],
] as const)(
  '%s is reached exactly, and passed by one refused, until there is room',
  async (limit, bounds, sizes, more) => {
    const journal = { directory: '/storage', ...bounds };
    const { storage, clock, primary, mirror } = await openTestStorage({
      acknowledgeWithinMs: 0,
      journal,
    });
    primary.intercept = () => ({ before: AWAY });
    for (const [index, size] of sizes.entries())
      await storage.upload(`k${index}`, Buffer.alloc(size));
    for (const body of [Buffer.alloc(more), async () => new Blob([Buffer.alloc(more)]).stream()]) {
      await expect(storage.upload('more', body)).rejects.toMatchObject({
        code: 'STORAGE_FULL',
        limit,
        retryable: true,
        outcome: 'not-applied',
      });
    }
    expect(storage.pending()).toHaveLength(sizes.length);
    primary.intercept = () => undefined;
    expect(await clock.settle(storage.flush({ deadlineMs: 60_000 }))).toBe(0);
    await storage.upload('more', Buffer.alloc(more));
    expect(await clock.settle(storage.flush({ deadlineMs: 60_000 }))).toBe(0);
    expect(mirror.objects.size).toBe(sizes.length + 1);
    await storage.close();
  },
);

test.each([
  ['maxObjectBytes', 64],
  ['inlineBytes', 64],
] as const)('bodies of %s, of one byte less and of one more', async (option, bytes) => {
  const opened = await openTestStorage({ acknowledgeWithinMs: 0, [option]: bytes });
  const { storage, clock, primary } = opened;
  for (const size of [bytes - 1, bytes, bytes + 1]) {
    const body = Buffer.alloc(size, 'x');
    const stream = async () => new Blob([body]).stream();
    for (const [name, given] of Object.entries({ bytes: body, stream })) {
      const stored = storage.upload(`${name}-${size}`, given).then(
        () => 'stored',
        (error: unknown) => (error instanceof StorageFullError ? error.limit : error),
      );
      const isTooLong = option === 'maxObjectBytes' && size > bytes;
      expect(await stored).toBe(isTooLong ? option : 'stored');
      expect(await clock.settle(storage.flush({ deadlineMs: 60_000 }))).toBe(0);
      expect(textAt(primary, `${name}-${size}`)).toBe(isTooLong ? undefined : 'x'.repeat(size));
    }
  }
  expect(storage.getStats().journalBytes).toBe(0);
  await storage.close();
});

test('local copies fill their bounds and evict one for one more', async () => {
  const entriesWithin = async (limits: { maxEntries?: number; maxBytes?: number }) => {
    const { storage } = await openTestStorage({ local: { directory: '/local', ...limits } });
    for (let write = 0; write < 5; write += 1) await storage.upload(`k${write}`, 'x'.repeat(100));
    await storage.close();
    return storage.getStats().localCopies;
  };
  const { bytes, entries } = await entriesWithin({});
  expect(entries).toBe(5);
  expect((await entriesWithin({ maxEntries: 3 })).entries).toBe(3);
  expect((await entriesWithin({ maxBytes: (bytes / 5) * 3 })).entries).toBe(3);
  expect((await entriesWithin({ maxBytes: (bytes / 5) * 3 - 1 })).entries).toBe(2);
});
