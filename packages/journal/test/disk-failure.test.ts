import { expect, test } from '@jest/globals';
import { createFakeClock } from '@holdfast/foundation/testing';
import { type Journal, type JournalOptions, openJournal } from '../src/index.ts';
import {
  type FileSystemCall,
  type MemoryFileSystem,
  createMemoryFileSystem,
  errno,
} from '../src/files/memory-file-system.ts';

const clock = createFakeClock();

function open(files: MemoryFileSystem, options: Partial<JournalOptions> = {}): Promise<Journal> {
  return openJournal({ directory: '/journal', files, clock, segmentBytes: 4_096, ...options });
}

async function texts(journal: Journal): Promise<string[]> {
  return (await journal.read(1)).map(({ payload }) => Buffer.from(payload).toString());
}

/** Lets the next so many calls that match fail. */
function failNext(
  files: MemoryFileSystem,
  code: string,
  times: number,
  matches: (call: FileSystemCall) => boolean,
): void {
  let left = times;
  files.intercept = (call) => {
    if (left === 0 || !matches(call)) return;
    left -= 1;
    throw errno(code);
  };
}

/** Records are written to the file that is called a spare until it is needed. */
const isRecordSync = ({ kind, name }: FileSystemCall): boolean =>
  kind === 'sync' && name.startsWith('spare');
const isRecordWrite = ({ kind, name, bytes }: FileSystemCall): boolean =>
  kind === 'write' && name.startsWith('spare') && bytes < 1_024;

async function reopened(files: MemoryFileSystem, journal: Journal): Promise<Journal> {
  await journal.close();
  return open(files);
}

test('after a failed sync the records are written to a new segment', async () => {
  const files = createMemoryFileSystem();
  const journal = await open(files);
  await journal.append(Buffer.from('before'));
  const condemned: unknown[] = [];
  journal.on('segment-failed', ({ file, firstSequence }) => condemned.push([file, firstSequence]));
  failNext(files, 'EIO', 1, isRecordSync);
  expect(await journal.append(Buffer.from('during'))).toBe(2);
  expect(await journal.append(Buffer.from('after'))).toBe(3);
  expect(condemned).toEqual([['/journal/00000000000000000001.journal', 1]]);
  expect(await texts(journal)).toEqual(['before', 'during', 'after']);
  expect(journal.getStats()).toMatchObject({ failedSegments: 1, rejected: 0, segments: 2 });
  const next = await reopened(files, journal);
  expect(next.recovery.quarantined).toEqual([]);
  expect(await texts(next)).toEqual(['before', 'during', 'after']);
  await next.close();
});

test('when a new segment fails too, the append rejects with outcome unknown', async () => {
  const files = createMemoryFileSystem();
  const journal = await open(files);
  await journal.append(Buffer.from('before'));
  files.intercept = (call) => {
    if (isRecordSync(call)) throw errno('EIO');
  };
  await expect(journal.append(Buffer.from('during'))).rejects.toMatchObject({
    code: 'JOURNAL_WRITE_FAILED',
    outcome: 'unknown',
    retryable: true,
    cause: expect.objectContaining({ code: 'EIO' }),
  });
  files.intercept = () => undefined;
  // The sequence that failed goes to the next record: readers see no gap.
  expect(await journal.append(Buffer.from('after'))).toBe(2);
  expect(await texts(journal)).toEqual(['before', 'after']);
  const next = await reopened(files, journal);
  expect(next.recovery.quarantined).toEqual([]);
  expect(await texts(next)).toEqual(['before', 'after']);
  await next.close();
});

test('a failed write of a batch rejects all of it and nothing else', async () => {
  const files = createMemoryFileSystem();
  const journal = await open(files);
  await journal.append(Buffer.from('before'));
  failNext(files, 'ENOSPC', 2, isRecordWrite);
  const batch = ['a', 'b', 'c'].map((text) => journal.append(Buffer.from(text)));
  const outcomes = await Promise.allSettled(batch);
  expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected']);
  expect(await journal.append(Buffer.from('after'))).toBe(2);
  expect(await texts(journal)).toEqual(['before', 'after']);
  expect(journal.getStats()).toMatchObject({ rejected: 3, failedSegments: 0 });
  await journal.close();
});

test('a write that ends short is continued', async () => {
  const files = createMemoryFileSystem();
  const portions = {
    ...files,
    open: async (...args: Parameters<typeof files.open>) => {
      const file = await files.open(...args);
      return {
        ...file,
        write: (data: Uint8Array, at: number) => file.write(data.subarray(0, 7), at),
        writeThrough: (data: Uint8Array, at: number) => file.writeThrough(data.subarray(0, 7), at),
        read: (into: Uint8Array, at: number) => file.read(into.subarray(0, 11), at),
      };
    },
  };
  const settings = { directory: '/journal', files: portions, clock, segmentBytes: 2_048 };
  const journal = await openJournal(settings);
  const text = 'a record longer than a portion '.repeat(20);
  await journal.appendAll([text, text].map((each) => Buffer.from(each)));
  expect(await texts(journal)).toEqual([text, text]);
  await journal.close();
});

test('a full disk rejects appends, keeps every record, and accepts more once there is room', async () => {
  const files = createMemoryFileSystem();
  files.capacityBytes = 20_000;
  const journal = await open(files);
  const full: string[] = [];
  journal.on('full', (error) => void full.push(error.limit));
  const kept: number[] = [];
  const payload = Buffer.alloc(700, 'x');
  const fill = async (): Promise<void> => {
    kept.push(await journal.append(payload));
    if (kept.length < 100) await fill();
  };
  const refusal = await fill().catch((error: unknown) => error);
  expect(refusal).toMatchObject({
    code: 'JOURNAL_FULL',
    limit: 'disk',
    retryable: true,
    outcome: 'not-applied',
  });
  expect(full).toEqual(['disk']);
  // All of the disk was used but for what a segment's beginning needs.
  expect(kept.length * 720).toBeGreaterThan(20_000 - 8_192 - 4_096);
  expect(await journal.read(1)).toHaveLength(kept.length);
  await expect(journal.append(payload)).rejects.toMatchObject({ limit: 'disk' });
  await journal.release(kept.length);
  // The mark is written in place: space can be freed although there is none.
  await clock.advance(1_000);
  expect(await journal.append(payload)).toBe(kept.length + 1);
  const next = await reopened(files, journal);
  expect(next.recovery).toMatchObject({ records: 1, quarantined: [] });
  await next.close();
});

test('a full disk of a dead owner can be opened, read and released', async () => {
  let files = createMemoryFileSystem();
  const journal = await open(files);
  for (let records = 0; records < 20; records += 1) await journal.append(Buffer.alloc(700));
  files = files.crash('kill', () => 1);
  await Promise.allSettled([journal.close()]);
  files.capacityBytes = files.names().reduce((sum, name) => sum + files.content(name).length, 0);
  const next = await open(files);
  expect(await next.read(1)).toHaveLength(20);
  await next.release(20);
  await next.close();
});

test('a read that the disk does not answer rejects and can be repeated', async () => {
  const files = createMemoryFileSystem();
  const journal = await open(files);
  await journal.append(Buffer.from('a'));
  failNext(files, 'EIO', 1, ({ kind }) => kind === 'read');
  await expect(journal.read(1)).rejects.toMatchObject({
    code: 'JOURNAL_READ_FAILED',
    file: '/journal/00000000000000000001.journal',
    retryable: true,
  });
  expect(await texts(journal)).toEqual(['a']);
  await journal.close();
});

test('a release mark that cannot be written is reported and written later', async () => {
  const files = createMemoryFileSystem();
  const journal = await open(files);
  const received: string[] = [];
  journal.on('checkpoint-failed', (error) => void received.push(error.code));
  journal.on('checkpointed', ({ released }) => void received.push(`kept ${released}`));
  await journal.append(Buffer.from('a'));
  await journal.release(1);
  failNext(files, 'EIO', 1, ({ kind, name }) => kind === 'write' && name === 'checkpoint');
  await clock.advance(1_000);
  await clock.advance(1_000);
  expect(received).toEqual(['JOURNAL_WRITE_FAILED', 'kept 1']);
  await journal.close();
});

test('at most one sync in batchMs is made, and close does not wait for the next', async () => {
  const own = createFakeClock();
  const files = createMemoryFileSystem();
  const journal = await open(files, { clock: own, durability: 'batch-ms', batchMs: 50 });
  await journal.append(Buffer.from('a'));
  const shared = Promise.all([journal.append(Buffer.from('b')), journal.append(Buffer.from('c'))]);
  await own.advance(49);
  expect(journal.getStats()).toMatchObject({ syncs: 1, pendingRecords: 2 });
  await own.advance(1);
  expect(await shared).toEqual([2, 3]);
  expect(journal.getStats().syncs).toBe(2);
  const last = journal.append(Buffer.from('d'));
  await journal.close();
  expect(await last).toBe(4);
  expect(own.pendingTimers).toBe(0);
});

test('appends wait for a slow disk up to maxPendingBytes', async () => {
  const files = createMemoryFileSystem();
  const journal = await open(files, { maxPendingBytes: 1_024 });
  const first = journal.append(Buffer.alloc(900));
  await expect(journal.append(Buffer.alloc(900))).rejects.toMatchObject({
    code: 'JOURNAL_FULL',
    limit: 'pending',
    current: 920,
    max: 1_024,
  });
  expect(await first).toBe(1);
  expect(await journal.append(Buffer.alloc(900))).toBe(2);
  await journal.close();
});
