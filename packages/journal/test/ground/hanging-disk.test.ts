import { expect, test } from '@jest/globals';
import { nextEvent } from '@holdfast/foundation';
import { type FakeClock, createFakeClock } from '@holdfast/foundation/testing';
import {
  type FileSystem,
  type Journal,
  type JournalOptions,
  openJournal,
} from '../../src/index.ts';
import {
  type MemoryFileSystem,
  createMemoryFileSystem,
} from '../../src/files/memory-file-system.ts';

/** A disk that can hang: the calls that match wait until it is thawed, and take effect then. */
interface HangingDisk {
  readonly files: FileSystem;
  readonly memory: MemoryFileSystem;
  /** The calls that hang. */
  readonly hung: string[];
  hang(matches?: (call: string) => boolean): void;
  thaw(): void;
}

function hangingDisk(memory: MemoryFileSystem = createMemoryFileSystem()): HangingDisk {
  let hangs: (call: string) => boolean = () => false;
  let frozen = Promise.withResolvers<void>();
  const hung: string[] = [];
  const when = async <T>(call: string, work: () => Promise<T>): Promise<T> => {
    if (hangs(call)) {
      hung.push(call);
      await frozen.promise;
    }
    return work();
  };
  const files: FileSystem = {
    ...memory,
    open: (path, mode) =>
      when(`open ${path}`, async () => {
        const file = await memory.open(path, mode);
        return {
          write: (...given) => when(`write ${path}`, () => file.write(...given)),
          writeThrough: (...given) => when(`write ${path}`, () => file.writeThrough(...given)),
          read: (...given) => when(`read ${path}`, () => file.read(...given)),
          sync: () => when(`sync ${path}`, () => file.sync()),
          truncate: (bytes) => when(`truncate ${path}`, () => file.truncate(bytes)),
          close: () => when(`close ${path}`, () => file.close()),
        };
      }),
    list: (path) => when(`list ${path}`, () => memory.list(path)),
    makeDirectory: (path) => when(`mkdir ${path}`, () => memory.makeDirectory(path)),
    syncDirectory: (path) => when(`sync ${path}`, () => memory.syncDirectory(path)),
    rename: (from, to) => when(`rename ${from}`, () => memory.rename(from, to)),
    link: (from, to) => when(`link ${to}`, () => memory.link(from, to)),
    remove: (path) => when(`remove ${path}`, () => memory.remove(path)),
    status: (path) => when(`status ${path}`, () => memory.status(path)),
    readWhole: (path) => when(`read ${path}`, () => memory.readWhole(path)),
  };
  return {
    files,
    memory,
    hung,
    hang(matches = () => true) {
      hangs = matches;
    },
    thaw() {
      hangs = () => false;
      hung.length = 0;
      frozen.resolve();
      frozen = Promise.withResolvers();
    },
  };
}

function open(
  disk: HangingDisk,
  clock: FakeClock,
  options: Partial<JournalOptions> = {},
): Promise<Journal> {
  const own = { directory: '/journal', files: disk.files, clock, segmentBytes: 4_096 };
  return openJournal({ ...own, ...options });
}

/** Lets time pass in steps, between which calls return and timers are armed. */
async function elapse(clock: FakeClock, byMs: number): Promise<void> {
  for (let passed = 0; passed < byMs; passed += byMs / 20) await clock.advance(byMs / 20);
}

const bytesOf = (text: string): Buffer => Buffer.from(text);
const isRecordWrite = (call: string): boolean => /^write .*(spare|\.journal)/.test(call);

async function texts(journal: Journal): Promise<string[]> {
  return (await journal.read(1)).map(({ payload }) => Buffer.from(payload).toString());
}

async function outcomesOf(appends: Promise<unknown>[]): Promise<unknown[]> {
  const settled = await Promise.allSettled(appends);
  return settled.map((one) => (one.status === 'fulfilled' ? one.value : one.reason.outcome));
}

test.each(['commit', 'batch-ms', 'os'] as const)(
  'a disk that hangs: appends reject within ioTimeoutMs, and what lands late is there once (%s)',
  async (durability) => {
    const clock = createFakeClock();
    const disk = hangingDisk();
    const journal = await open(disk, clock, { durability, ioTimeoutMs: 2_000 });
    await journal.append(bytesOf('before'));
    await elapse(clock, 20);
    disk.hang();
    const stalled = nextEvent(journal, 'stalled');
    const written = journal.append(bytesOf('written'));
    await elapse(clock, 20);
    const waiting = journal.appendAll([bytesOf('waiting'), bytesOf('too')]);
    const outcomes = outcomesOf([written, waiting]);
    await elapse(clock, 2_100);
    expect(await outcomes).toEqual(['unknown', 'not-applied']);
    expect(await stalled).toMatchObject({ code: 'JOURNAL_STALLED', ioTimeoutMs: 2_000 });
    const refused = { code: 'JOURNAL_STALLED', outcome: 'not-applied', retryable: true };
    await expect(journal.append(bytesOf('refused'))).rejects.toMatchObject(refused);
    expect(journal.getStats()).toMatchObject({
      state: 'open',
      failure: { code: 'JOURNAL_STALLED' },
      pendingRecords: 0,
      pendingBytes: 0,
      rejected: 4,
    });
    const resumed = nextEvent(journal, 'resumed');
    disk.thaw();
    expect(await resumed).toEqual({ late: 1 });
    expect(await clock.settle(journal.append(bytesOf('after')))).toBe(3);
    await elapse(clock, 8_000);
    expect(journal.getStats()).not.toHaveProperty('failure');
    expect(await texts(journal)).toEqual(['before', 'written', 'after']);
    await journal.close();
    const next = await open(disk, clock);
    expect(await texts(next)).toEqual(['before', 'written', 'after']);
    expect(next.recovery.quarantined).toEqual([]);
    await next.close();
    expect(clock.pendingTimers).toBe(0);
  },
);

test('a write that fails after it has hung leaves nothing, and its sequence to the next record', async () => {
  const clock = createFakeClock();
  const disk = hangingDisk();
  const journal = await open(disk, clock);
  disk.hang(isRecordWrite);
  const outcome = outcomesOf([journal.append(bytesOf('lost'))]);
  await elapse(clock, 5_500);
  expect(await outcome).toEqual(['unknown']);
  disk.memory.intercept = ({ kind, name }) => {
    if (kind === 'write' && /spare|journal/.test(name)) {
      throw Object.assign(new Error('injected'), { code: 'EIO' });
    }
  };
  const resumed = nextEvent(journal, 'resumed');
  disk.thaw();
  expect(await resumed).toEqual({ late: 0 });
  disk.memory.intercept = () => undefined;
  expect(await journal.append(bytesOf('next'))).toBe(1);
  expect(await texts(journal)).toEqual(['next']);
  await journal.close();
});

test('a slow disk that moves on is waited for', async () => {
  const clock = createFakeClock();
  const disk = hangingDisk();
  const journal = await open(disk, clock, { ioTimeoutMs: 1_000 });
  await journal.append(Buffer.alloc(3_000));
  // The append needs a new segment: several calls, each of which takes 900 ms.
  const isSlow = (call: string): boolean => /spare|\.journal|sync \/journal$/.test(call);
  disk.hang(isSlow);
  const appended = journal.append(Buffer.alloc(3_000));
  let calls = 0;
  for (; calls < 5; calls += 1) {
    await elapse(clock, 900);
    expect(disk.hung.length).toBeGreaterThan(0);
    disk.thaw();
    disk.hang(isSlow);
  }
  disk.thaw();
  expect(await appended).toBe(2);
  await journal.close();
});

test('a hang of one minute of the event loop is no hang of the disk', async () => {
  const clock = createFakeClock();
  const disk = hangingDisk();
  const journal = await open(disk, clock);
  disk.hang(isRecordWrite);
  const appended = journal.append(bytesOf('a'));
  while (disk.hung.length === 0) await clock.advance(0);
  // The disk has answered, and the timer comes first.
  disk.thaw();
  await clock.advance(60_000);
  expect(await appended).toBe(1);
  await journal.close();
});

test('a disk that hangs without an append is noticed by the heartbeat, with one call that hangs', async () => {
  const clock = createFakeClock();
  const disk = hangingDisk();
  const journal = await open(disk, clock);
  await journal.append(bytesOf('a'));
  await elapse(clock, 1_500);
  disk.hang();
  await elapse(clock, 60_000);
  expect(journal.getStats().failure).toMatchObject({ code: 'JOURNAL_STALLED' });
  expect(disk.hung).toHaveLength(1);
  const reading = outcomesOf([journal.read(1)]);
  await elapse(clock, 5_500);
  await reading;
  expect(disk.hung).toHaveLength(1);
  disk.thaw();
  await elapse(clock, 6_000);
  expect(journal.getStats()).not.toHaveProperty('failure');
  expect(await texts(journal)).toEqual(['a']);
  await journal.close();
});

test('reading from a disk that hangs rejects in time, and can be repeated', async () => {
  const clock = createFakeClock();
  const disk = hangingDisk();
  const journal = await open(disk, clock);
  await journal.append(bytesOf('a'));
  disk.hang((call) => call.startsWith('read'));
  const reading = Promise.allSettled([journal.read(1)]);
  await elapse(clock, 5_500);
  const failed = { code: 'JOURNAL_READ_FAILED', retryable: true, cause: { code: 'ETIMEDOUT' } };
  expect(await reading).toMatchObject([{ reason: failed }]);
  disk.thaw();
  await elapse(clock, 20);
  expect(await texts(journal)).toEqual(['a']);
  await journal.close();
});

test('closing on a disk that hangs ends in time; the directory is given up when the disk answers', async () => {
  const clock = createFakeClock();
  const disk = hangingDisk();
  const journal = await open(disk, clock, { ioTimeoutMs: 1_000 });
  await journal.append(bytesOf('before'));
  disk.hang();
  const outcome = outcomesOf([journal.append(bytesOf('written'))]);
  const closing = Promise.allSettled([journal.close()]);
  await elapse(clock, 2_500);
  expect(await closing).toMatchObject([{ reason: { code: 'JOURNAL_STALLED' } }]);
  expect(await outcome).toEqual(['unknown']);
  expect(journal.getStats().state).toBe('closed');
  disk.thaw();
  await elapse(clock, 2_000);
  const next = await open(disk, clock);
  expect(await texts(next)).toEqual(['before', 'written']);
  await next.close();
});

test.each(['link', 'open', 'list', 'status', 'sync', 'write'])(
  'opening on a disk that hangs at %s rejects in time, each time, with one call that hangs; then it opens',
  async (call) => {
    const clock = createFakeClock();
    const disk = hangingDisk();
    await (await open(disk, clock)).close();
    disk.hang((made) => made.startsWith(call));
    for (let attempt = 0; attempt < 3; attempt += 1) {
      const startedMs = clock.now();
      const opening = clock.settle(open(disk, clock, { ioTimeoutMs: 1_000 }));
      await expect(opening).rejects.toMatchObject({
        code: 'JOURNAL_UNAVAILABLE',
        message: expect.stringContaining('its disk does not answer'),
        outcome: 'not-applied',
      });
      expect(clock.now() - startedMs).toBeLessThanOrEqual(2_000);
      expect(disk.hung).toHaveLength(1);
    }
    disk.thaw();
    await elapse(clock, 20);
    const journal = await open(disk, clock, { ioTimeoutMs: 1_000 });
    expect(await journal.append(bytesOf(call))).toBe(1);
    await journal.close();
  },
);
