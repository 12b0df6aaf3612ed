import { expect, test } from '@jest/globals';
import { createFakeClock } from '@holdfast/foundation/testing';
import { openJournal } from '../../src/index.ts';
import { createMemoryFileSystem } from '../../src/files/memory-file-system.ts';

const HOUR_MS = 3_600_000;

/** Hours forward, hours back, and both. */
const steps = [[HOUR_MS], [-5 * HOUR_MS], [HOUR_MS, -2 * HOUR_MS, 12 * HOUR_MS]];

test.each(steps)(
  'a wall clock that steps changes no deadline of a journal (%j)',
  async (...byMs) => {
    const clock = createFakeClock();
    const files = createMemoryFileSystem();
    const settings = { directory: '/journal', files, clock, segmentBytes: 4_096 };
    const journal = await openJournal({ ...settings, durability: 'batch-ms', batchMs: 50 });
    const marks: number[] = [];
    journal.on('checkpointed', ({ released }) => marks.push(released));
    await journal.append(Buffer.from('a'));
    await journal.release(1);
    const second = journal.append(Buffer.from('b'));
    for (const step of byMs) clock.stepWallClock(step);
    await clock.advance(49);
    expect([journal.getStats().pendingRecords, marks]).toEqual([1, []]);
    await clock.advance(1);
    expect(await second).toBe(2);
    await clock.advance(900);
    expect(marks).toEqual([]);
    await clock.advance(100);
    expect(marks).toEqual([1]);
    // The owner goes on beating, and stays the owner.
    for (let minute = 0; minute < 3; minute += 1) {
      for (const step of byMs) clock.stepWallClock(step);
      await clock.advance(60_000);
    }
    expect(await clock.settle(journal.append(Buffer.from('c')))).toBe(3);
    expect(journal.getStats()).toMatchObject({ state: 'open', records: 2 });
    await journal.close();
  },
);

/**
 * An owner in another container, of which only the file can be seen. It has beaten for the last time before the clock of
 * the disk stepped by `byMs`.
 */
async function ownedElsewhere(staleMs: number, byMs: number) {
  const memory = createMemoryFileSystem();
  const file = await memory.open('/journal/owner.1', 'create');
  const record = { token: 'other', pid: 9, host: 'elsewhere', sinceEpochMs: 0, released: false };
  await file.write(Buffer.from(JSON.stringify({ ...record, staleMs })), 0);
  const beatMs = 100 * HOUR_MS;
  return {
    clock: createFakeClock(),
    files: {
      ...memory,
      async status(path: string) {
        const modifiedMs = path.endsWith('owner.1') ? beatMs : beatMs + byMs;
        const status = await memory.status(path);
        return status && { ...status, modifiedMs };
      },
    },
  };
}

test.each([HOUR_MS, -HOUR_MS])(
  'an owner elsewhere that has gone silent is replaced within its own staleMs, however the clock of the disk steps (%i)',
  async (byMs) => {
    const { clock, files } = await ownedElsewhere(5_000, byMs);
    const startMs = clock.now();
    const settings = { directory: '/journal', files, clock, segmentBytes: 4_096 };
    const journal = await clock.settle(openJournal(settings));
    expect(journal.epoch).toBe(2);
    const tookMs = clock.now() - startMs;
    // Watched for half of it at least: the time of its file alone proves nothing.
    expect(tookMs).toBeGreaterThanOrEqual(2_500);
    expect(tookMs).toBeLessThanOrEqual(5_500);
    await journal.close();
  },
);

test('a successor waits as long as the owner has stated, not as long as it states itself', async () => {
  const { clock, files } = await ownedElsewhere(60_000, 0);
  const settings = { directory: '/journal', files, clock, segmentBytes: 4_096, ownerStaleMs: 100 };
  const opening = clock.settle(openJournal({ ...settings, acquireTimeoutMs: 10_000 }));
  await expect(opening).rejects.toMatchObject({ code: 'JOURNAL_LOCKED', retryable: true });
});
