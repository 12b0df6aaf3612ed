import { mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from '@jest/globals';
import { nextEvent, seededRandom, systemClock } from '@holdfast/foundation';
import { openJournal } from '@holdfast/journal';
import { DurableQueue } from '../../src/durable-queue.ts';
import { BackendError } from '../../src/errors.ts';
import { type QueueOptions, parseQueueOptions } from '../../src/options.ts';
import { FakeBackend } from '../fake/fake-backend.ts';
import { FailingDisk } from './failing-files.ts';

interface Opened {
  readonly queue: DurableQueue;
  readonly backend: FakeBackend;
  readonly disk: FailingDisk;
  readonly directory: string;
}

const IO_TIMEOUT_MS = 300;
const gone = new BackendError('unreachable', 'connection refused');
const opened: Opened[] = [];
const directories: string[] = [];

afterEach(async () => {
  for (const { queue, disk } of opened.splice(0)) {
    disk.set({ kind: 'work' });
    await queue.close({ deadlineMs: 1 }).catch(() => undefined);
  }
  for (const directory of directories.splice(0)) {
    await rm(directory, { recursive: true, force: true, maxRetries: 10 });
  }
});

async function freshDirectory(): Promise<string> {
  const parent = await mkdtemp(join(tmpdir(), 'holdfast-queue-'));
  directories.push(parent);
  return join(parent, 'jobs');
}

interface Settings extends Partial<Omit<QueueOptions, 'fallback'>> {
  readonly directory?: string;
  readonly whenUnavailable?: 'redis' | 'reject';
  readonly disk?: FailingDisk;
}

async function open(settings: Settings = {}): Promise<Opened> {
  const { directory = await freshDirectory(), disk = new FailingDisk(), ...rest } = settings;
  const { whenUnavailable = 'reject', ...options } = rest;
  const backend = new FakeBackend(undefined, systemClock);
  const journal = { directory, ioTimeoutMs: IO_TIMEOUT_MS };
  const resolved = parseQueueOptions({
    redis: { url: 'redis://127.0.0.1:1' },
    clock: systemClock,
    random: seededRandom(1),
    fallback: { journal, whenUnavailable },
    ...options,
  });
  const queue = new DurableQueue(backend, resolved, disk.journals);
  const one = { queue, backend, disk, directory };
  opened.push(one);
  return one;
}

/** The server is away: jobs go to the journal. */
async function withoutRedis({ queue, backend }: Opened, topic = 't'): Promise<void> {
  await backend.opened;
  backend.failAttempt(gone);
  await queue.enqueue(topic, 'before');
}

const applied = ({ backend }: Opened, topic = 't'): unknown[] =>
  (backend.applied.get(topic) ?? []).map((json) => JSON.parse(json));

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) {
    await new Promise<void>((resolve) => {
      systemClock.schedule(5, resolve);
    });
  }
}

const codeOf = (job: Promise<unknown>): Promise<unknown> =>
  job.then(
    () => 'accepted',
    (error: { code: string; outcome: string }) => `${error.code} ${error.outcome}`,
  );

/** Begins a time that a timer of this process measures, so that a busy machine slows both; tells whether it is over. */
function timeLimit(ms: number): () => boolean {
  let isOver = false;
  systemClock.schedule(ms, () => (isOver = true), { holdsProcess: false });
  return () => isOver;
}

test('a disk that hangs while Redis is away: jobs of all topics are refused in time, health is critical, and it passes', async () => {
  const one = await open();
  const { queue, backend, disk } = one;
  await withoutRedis(one);
  disk.set({ kind: 'hang' });
  const isLate = timeLimit(2 * IO_TIMEOUT_MS);
  const first = codeOf(queue.enqueue('t', 'first'));
  await until(() => disk.hung > 0);
  const others = ['t', 'u', 'v'].map((topic) => codeOf(queue.enqueue(topic, 'second')));
  expect(await first).toBe('JOURNAL_STALLED unknown');
  expect(await Promise.all(others)).toEqual(Array(3).fill('JOURNAL_STALLED not-applied'));
  expect(isLate()).toBe(false);
  expect(queue.health()).toMatchObject({
    level: 'critical',
    fallbackFailure: { code: 'JOURNAL_STALLED' },
  });
  expect(queue.getStats().pending).toBe(0);
  disk.set({ kind: 'work' });
  await until(() => queue.health().level === 'degraded');
  await queue.enqueue('t', 'after');
  const drained = nextEvent(queue, 'drained');
  backend.up();
  await drained;
  expect(applied(one)).toEqual(['before', 'first', 'after']);
  expect(applied(one, 'u')).toEqual([]);
  expect(queue.health().level).toBe('healthy');
});

test('Redis comes back while the disk hangs: it takes the jobs whose write hangs first, and each once', async () => {
  const one = await open();
  const { queue, backend, disk } = one;
  await withoutRedis(one);
  const drained = nextEvent(queue, 'drained');
  disk.set({ kind: 'hang', matches: (call) => /^write .*(?:spare|\.journal)/.test(call) });
  expect(await codeOf(queue.enqueue('t', 'in doubt'))).toBe('JOURNAL_STALLED unknown');
  backend.up();
  await drained;
  expect(await queue.enqueue('t', 'next')).toMatchObject({ accepted: 'redis' });
  expect(await queue.enqueue('u', 'other topic')).toMatchObject({ accepted: 'redis' });
  expect(queue.health()).toMatchObject({ level: 'degraded', current: 'redis' });
  disk.set({ kind: 'work' });
  await until(() => queue.getStats().alreadyApplied > 0 && queue.getStats().backlog.jobs === 0);
  await queue.enqueue('t', 'last');
  expect(applied(one)).toEqual(['before', 'in doubt', 'next', 'last']);
  await until(() => queue.health().level === 'healthy');
});

test('with acknowledge local, a disk that hangs refuses in time, and what lands late is delivered once', async () => {
  const one = await open({ acknowledge: 'local' });
  const { queue, backend, disk } = one;
  backend.up();
  await queue.enqueue('t', 'before');
  await until(() => queue.getStats().backlog.jobs === 0);
  disk.set({ kind: 'hang' });
  const isLate = timeLimit(2 * IO_TIMEOUT_MS);
  expect(await codeOf(queue.enqueue('t', 'late'))).toBe('JOURNAL_STALLED unknown');
  expect(isLate()).toBe(false);
  expect(await codeOf(queue.enqueue('t', 'never'))).toBe('JOURNAL_STALLED not-applied');
  expect(queue.health().level).toBe('critical');
  disk.set({ kind: 'work' });
  await until(() => applied(one).includes('late'));
  await queue.enqueue('t', 'after');
  await until(() => applied(one).includes('after'));
  expect(applied(one)).toEqual(['before', 'late', 'after']);
});

test('closing while the disk hangs ends', async () => {
  const one = await open();
  await withoutRedis(one);
  one.disk.set({ kind: 'hang' });
  const late = codeOf(one.queue.enqueue('t', 'late'));
  await one.queue.close({ deadlineMs: 100 }).catch(() => undefined);
  expect(await late).toMatch(/unknown$/);
});

test.each([
  ['removed', (directory: string) => rm(directory, { recursive: true })],
  ['renamed', (directory: string) => rename(directory, `${directory}-moved`)],
  [
    'emptied',
    async (directory: string) => {
      const names = await readdir(directory);
      await Promise.all(names.map((name) => rm(join(directory, name))));
    },
  ],
])('a journal directory that is %s while it is open is noticed, and said', async (_, lose) => {
  const one = await open();
  const { queue, backend, directory } = one;
  await withoutRedis(one);
  const drained = nextEvent(queue, 'drained');
  backend.up();
  await drained;
  expect(queue.health().level).toBe('healthy');
  await lose(directory);
  await until(() => queue.health().level !== 'healthy');
  expect(queue.health()).toMatchObject({
    level: 'degraded',
    fallbackFailure: { code: 'JOURNAL_UNAVAILABLE' },
  });
  // Redis takes jobs as before; without it, nothing is accepted.
  expect(await queue.enqueue('t', 'by redis')).toMatchObject({ accepted: 'redis' });
  backend.down();
  expect(await codeOf(queue.enqueue('t', 'nowhere'))).toBe('JOURNAL_UNAVAILABLE not-applied');
  expect(queue.health().level).toBe('critical');
  backend.up();
  await until(() => queue.state === 'direct');
  expect(await queue.enqueue('t', 'again')).toMatchObject({ accepted: 'redis' });
  expect(applied(one)).toEqual(['before', 'by redis', 'again']);
});

test('a directory that is removed during an outage: the next job is refused, and Redis is used again when it is back', async () => {
  const one = await open();
  const { queue, backend, directory } = one;
  await withoutRedis(one);
  await rm(directory, { recursive: true });
  expect(await codeOf(queue.enqueue('t', 'into nothing'))).toBe('JOURNAL_UNAVAILABLE unknown');
  expect(queue.health().level).toBe('critical');
  backend.up();
  await until(() => queue.state === 'direct');
  expect(await queue.enqueue('t', 'after')).toMatchObject({ accepted: 'redis' });
  expect(applied(one)).toEqual(['before', 'after']);
});

test('jobs of a removed directory that no memory has are reported, and do not hold up the others', async () => {
  const directory = await freshDirectory();
  const first = await open({ directory });
  await withoutRedis(first);
  await first.queue.close();
  const one = await open({ directory });
  await one.backend.opened;
  await rm(directory, { recursive: true });
  const lost = nextEvent(one.queue, 'fallback-lost');
  await until(() => one.queue.getStats().fallbackFailure !== undefined);
  one.backend.up();
  expect(await lost).toMatchObject({ jobs: 1, code: 'JOURNAL_UNAVAILABLE' });
  await until(() => one.queue.state === 'direct');
  expect(await one.queue.enqueue('t', 'after')).toMatchObject({ accepted: 'redis' });
});

test('of a removed directory, the jobs that memory has are sent, and exactly the others are reported', async () => {
  const directory = await freshDirectory();
  const one = await open({ directory });
  const { queue, backend } = one;
  await withoutRedis(one);
  const jobs = Array.from({ length: 14 }, (_, number) => `${number} ${'x'.repeat(100_000)}`);
  for (const job of jobs) await queue.enqueue('t', job);
  await rm(directory, { recursive: true });
  expect(await codeOf(queue.enqueue('t', 'into nothing'))).toBe('JOURNAL_UNAVAILABLE unknown');
  let lost = 0;
  queue.on('fallback-lost', (event) => {
    lost += event.jobs;
  });
  backend.up();
  await until(() => queue.state === 'direct');
  expect(await queue.enqueue('t', 'after')).toMatchObject({ accepted: 'redis' });
  const arrived = applied(one);
  expect(lost).toBeGreaterThan(0);
  expect(arrived.length).toBeGreaterThan(5);
  expect(arrived).toEqual([...['before', ...jobs].slice(lost), 'after']);
});

test.each(['EROFS', 'ENOSPC', 'EACCES', 'ENOENT', 'EIO'])(
  'a journal that cannot be opened (%s) is opened once it can, without a call too',
  async (code) => {
    const disk = new FailingDisk();
    disk.set({ kind: 'fail', code });
    const one = await open({ disk });
    const refusal = code === 'ENOSPC' ? 'JOURNAL_FULL' : 'JOURNAL_UNAVAILABLE';
    expect(await codeOf(one.queue.enqueue('t', 'refused'))).toBe(`${refusal} not-applied`);
    await until(() => one.queue.health().level === 'critical');
    expect(one.queue.health().fallbackFailure).toMatchObject({ code: refusal });
    disk.set({ kind: 'work' });
    await one.backend.opened;
    one.backend.up();
    expect(await one.queue.enqueue('t', 'accepted')).toMatchObject({ accepted: 'redis' });
    expect(one.queue.health().level).toBe('healthy');
  },
);

test('a parent directory that is missing at the start may come later', async () => {
  const directory = await freshDirectory();
  const parent = join(directory, '..');
  await rename(parent, `${parent}-away`);
  const one = await open({ directory });
  expect(await codeOf(one.queue.enqueue('t', 1))).toBe('JOURNAL_UNAVAILABLE not-applied');
  await rename(`${parent}-away`, parent);
  await one.backend.opened;
  one.backend.up();
  expect(await one.queue.enqueue('t', 2)).toMatchObject({ accepted: 'redis' });
});

test('with whenUnavailable redis, jobs go to Redis while another process owns the journal, and use it once it is free', async () => {
  const directory = await freshDirectory();
  const owner = await openJournal({ directory });
  const one = await open({ directory, whenUnavailable: 'redis' });
  const { queue, backend } = one;
  backend.up();
  await queue.ready();
  expect(await queue.enqueue('t', 1)).toMatchObject({ accepted: 'redis' });
  await until(() => queue.health().fallbackFailure?.code === 'JOURNAL_LOCKED');
  expect(queue.health().level).toBe('degraded');
  backend.down();
  expect(await codeOf(queue.enqueue('t', 'refused'))).toBe('JOURNAL_LOCKED not-applied');
  expect(queue.health().level).toBe('critical');
  backend.up();
  await until(() => queue.state === 'direct');
  const flowing = [2, 3, 4].map((job) => queue.enqueue('t', job));
  await owner.close();
  await Promise.all(flowing);
  await until(() => queue.health().level === 'healthy');
  expect(queue.getStats().acceptedByRedis).toBe(4);
  backend.down();
  expect(await queue.enqueue('t', 5)).toMatchObject({ accepted: 'journal' });
  const drained = nextEvent(queue, 'drained');
  backend.up();
  await drained;
  expect(applied(one)).toEqual([1, 2, 3, 4, 5]);
});

test('with whenUnavailable redis, a disk that hangs at the start holds up nothing', async () => {
  const disk = new FailingDisk();
  disk.set({ kind: 'hang' });
  const one = await open({ disk, whenUnavailable: 'redis' });
  one.backend.up();
  expect(await one.queue.enqueue('t', 1)).toMatchObject({ accepted: 'redis' });
  disk.set({ kind: 'work' });
  await until(() => one.queue.health().level === 'healthy');
  expect(await one.queue.enqueue('t', 2)).toMatchObject({ accepted: 'redis' });
  expect(applied(one)).toEqual([1, 2]);
});

test.each(['reject', 'shed-oldest', 'wait'] as const)(
  'while the journal is being opened, as many jobs wait as may be pending (%s)',
  async (backpressure) => {
    const disk = new FailingDisk();
    disk.set({ kind: 'hang' });
    const settings = { maxPendingJobs: 3, backpressure, backpressureTimeoutMs: 50 };
    const one = await open({ disk, ...settings });
    const waiting = [1, 2, 3].map((job) => one.queue.enqueue('t', job));
    const accepted = Promise.all(waiting.map(codeOf));
    const refused = await Promise.allSettled([4, 5].map((job) => one.queue.enqueue('t', job)));
    const full = { code: 'QUEUE_FULL', limit: 'maxPendingJobs', outcome: 'not-applied' };
    expect(refused).toMatchObject([{ reason: full }, { reason: full }]);
    disk.set({ kind: 'work' });
    await one.backend.opened;
    one.backend.up();
    expect(await accepted).toEqual(['accepted', 'accepted', 'accepted']);
    expect(applied(one)).toEqual([1, 2, 3]);
  },
);

test('a job that waits for the journal ends with the reason of its signal, and bytes count too', async () => {
  const disk = new FailingDisk();
  disk.set({ kind: 'hang' });
  const one = await open({ disk, maxPendingBytes: 1_000 });
  const controller = new AbortController();
  const waiting = one.queue.enqueue('t', 'x'.repeat(900), { signal: controller.signal });
  await expect(one.queue.enqueue('t', 'x'.repeat(900))).rejects.toMatchObject({
    code: 'QUEUE_FULL',
    limit: 'maxPendingBytes',
  });
  const reason = new Error('enough');
  controller.abort(reason);
  await expect(waiting).rejects.toBe(reason);
});
