import { expect, test } from '@jest/globals';
import { createFakeClock } from '@holdfast/foundation/testing';
import { openJournal } from '../src/index.ts';
import { createMemoryFileSystem } from '../src/files/memory-file-system.ts';

/** Ten records of 100 bytes fill 1 200 of a segment's 2 304 bytes, of which 1 024 are its header. */
const SEGMENT_BYTES = 2_304;

test('a release while a checkpoint is being written deletes nothing that this checkpoint does not cover', async () => {
  const clock = createFakeClock();
  const memory = createMemoryFileSystem();
  let writing: { readonly finish: () => void } | undefined;
  const files = {
    ...memory,
    open: async (...args: Parameters<typeof memory.open>) => {
      const file = await memory.open(...args);
      if (!args[0].endsWith('checkpoint')) return file;
      return {
        ...file,
        sync: async () => {
          if (journal?.next === 31) {
            await new Promise<void>((resolve) => {
              writing = { finish: resolve };
            });
          }
          await file.sync();
        },
      };
    },
  };
  let journal: Awaited<ReturnType<typeof openJournal>> | undefined;
  const options = { directory: '/journal', clock, segmentBytes: SEGMENT_BYTES, checkpointMs: 10 };
  journal = await openJournal({ ...options, files });
  for (let record = 1; record <= 30; record += 1) await journal.append(Buffer.alloc(100, record));

  await journal.release(10);
  await clock.advance(10);
  expect(writing).toBeDefined();
  await journal.release(20);
  writing?.finish();
  writing = undefined;
  while (memory.names().includes('00000000000000000001.journal')) await clock.advance(0);
  // The mark on the disk says 10: were the next segment gone already, its records would count as lost.
  expect(memory.names()).toContain('00000000000000000011.journal');
  const crashed = memory.crash('kill', () => 0);
  const next = await openJournal({ ...options, files: crashed });
  expect(next.recovery.quarantined).toEqual([]);
  expect((await next.read(1)).map(({ sequence }) => sequence)).toEqual(
    Array.from({ length: 20 }, (_, place) => place + 11),
  );
  await next.close();
  await Promise.allSettled([journal.close()]);
});

test('a release during the last checkpoint of a closing journal is in it, or is read once more', async () => {
  const clock = createFakeClock();
  const files = createMemoryFileSystem();
  const options = { directory: '/journal', clock, segmentBytes: SEGMENT_BYTES, files };
  const journal = await openJournal(options);
  for (let record = 1; record <= 30; record += 1) await journal.append(Buffer.alloc(100, record));
  const released = journal.release(25);
  const closed = journal.close();
  await Promise.allSettled([released, closed]);
  const next = await openJournal(options);
  expect(next.recovery.quarantined).toEqual([]);
  expect([1, 26]).toContain((await next.read(1))[0]?.sequence);
  await next.close();
});

test('records after a loss of power are kept, though a release mark of lost ones was durable', async () => {
  const clock = createFakeClock();
  const memory = createMemoryFileSystem();
  const options = { directory: '/journal', clock, segmentBytes: SEGMENT_BYTES, checkpointMs: 10 };
  const journal = await openJournal({ ...options, files: memory, durability: 'os' });
  for (let record = 1; record <= 5; record += 1) await journal.append(Buffer.alloc(100, record));
  await journal.release(5);
  await clock.advance(10);
  // Of what was not synced, nothing is on the disk.
  const afterPowerLoss = memory.crash('prefix', () => 0);
  await Promise.allSettled([journal.close()]);
  const next = await openJournal({ ...options, files: afterPowerLoss });
  const sequence = await next.append(Buffer.from('kept'));
  expect(sequence).toBeLessThanOrEqual(5);
  const afterKill = afterPowerLoss.crash('kill', () => 0);
  await Promise.allSettled([next.close()]);
  const last = await openJournal({ ...options, files: afterKill });
  expect(await last.read(1)).toMatchObject([{ sequence }]);
  await last.close();
});
