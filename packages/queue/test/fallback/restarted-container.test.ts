import { basename } from 'node:path';
import { afterEach, expect, test } from '@jest/globals';
import { seededRandom } from '@holdfast/foundation';
import { type FakeClock, createFakeClock } from '@holdfast/foundation/testing';
import { type Journal, type JournalOptions, openJournal } from '@holdfast/journal';
import { type MemoryFileSystem, createMemoryFileSystem } from '@holdfast/journal/testing';
import { DurableQueue } from '../../src/durable-queue.ts';
import { BackendError } from '../../src/errors.ts';
import type { JournalFactory } from '../../src/fallback/open-fallback.ts';
import { type QueueOptions, parseQueueOptions } from '../../src/options.ts';
import { FakeBackend } from '../fake/fake-backend.ts';
import { namesOf } from '../recovery/copied-directories.ts';

const DIRECTORY = '/volume/jobs';
const LONG_MS = 86_400_000;

/** A volume that survives its container; by the time of its files, the owner has been silent for `silentMs`. */
class Volume implements JournalFactory {
  readonly #directories = new Map<string, MemoryFileSystem>();
  silentMs = 0;
  /** The directories that were opened, and when. */
  readonly openings: [string, number | undefined][] = [];

  open(options: JournalOptions): Promise<Journal> {
    this.openings.push([options.directory, options.clock?.now()]);
    const memory = this.#directories.get(options.directory) ?? createMemoryFileSystem();
    this.#directories.set(options.directory, memory);
    const status: MemoryFileSystem['status'] = async (path) => {
      const found = await memory.status(path);
      const isOwner = /^owner\.\d+$/.test(basename(path));
      return found && { ...found, modifiedMs: found.modifiedMs - (isOwner ? this.silentMs : 0) };
    };
    return openJournal({ ...options, segmentBytes: 65_536, files: { ...memory, status } });
  }

  async exists(directory: string): Promise<boolean> {
    return this.#directories.has(directory);
  }

  /** Whoever opens it next runs elsewhere: in another container, on another machine. */
  move(): void {
    for (const memory of this.#directories.values()) {
      for (const name of memory.names()) {
        if (!name.startsWith('owner.')) continue;
        const content = memory.content(name);
        const record: { host: string; bootId?: string } = JSON.parse(content.toString());
        content.fill(
          'x',
          content.indexOf(record.host),
          content.indexOf(record.host) + record.host.length,
        );
        if (record.bootId !== undefined)
          content.fill('x', content.indexOf(record.bootId), content.indexOf(record.bootId) + 8);
      }
    }
  }
}

interface Container {
  readonly queue: DurableQueue;
  readonly backend: FakeBackend;
  readonly clock: FakeClock;
  /** When its journal was open, by its own clock. */
  readonly openedMs: Promise<number>;
}

const running: Container[] = [];

afterEach(async () => {
  for (const { queue, clock } of running.splice(0)) {
    await clock.settle(queue.close({ deadlineMs: 1 }).catch(() => undefined));
  }
});

function start(
  volume: Volume,
  server: FakeBackend,
  { ownerStaleMs, ...options }: Partial<QueueOptions> & { ownerStaleMs?: number } = {},
): Container {
  const clock = createFakeClock();
  const backend = new FakeBackend(server, clock);
  const journal = { directory: DIRECTORY, ...(ownerStaleMs !== undefined && { ownerStaleMs }) };
  const resolved = parseQueueOptions({
    redis: { url: 'redis://127.0.0.1:1' },
    clock,
    random: seededRandom(1),
    fallback: { journal },
    ...options,
  });
  const openedMs = backend.opened.then(() => clock.now());
  const one = { queue: new DurableQueue(backend, resolved, volume), backend, clock, openedMs };
  running.push(one);
  return one;
}

/** Enqueues the jobs of a container whose Redis is away. */
async function enqueueAlone({ queue, backend, clock }: Container, names: string[]): Promise<void> {
  await backend.opened;
  backend.failAttempt(new BackendError('unreachable', 'connection refused'));
  await clock.settle(Promise.all(names.map((name) => queue.enqueue('t', name))));
}

function added(server: FakeBackend): unknown[] {
  return (server.applied.get('t') ?? []).map((json) => JSON.parse(json));
}

test.each([
  ['its heartbeat is old, after half of 5 s', undefined, LONG_MS, 2_500],
  ['its heartbeat is fresh, after 5 s', undefined, 0, 5_000],
  ['it had ownerStaleMs 1000 and its heartbeat is old, after half of it', 1_000, LONG_MS, 500],
  ['it had ownerStaleMs 1000 and its heartbeat is fresh, after 1 s', 1_000, 0, 1_000],
  ['it had ownerStaleMs 30000 and its heartbeat is old, after 15 s', 30_000, LONG_MS, 15_000],
])(
  'a container restarted elsewhere on the volume of a killed one opens it, when %s: all jobs are added once, in order',
  async (_, ownerStaleMs, silentMs, tookMs) => {
    const volume = new Volume();
    const server = new FakeBackend();
    const killed = start(volume, server, ownerStaleMs === undefined ? {} : { ownerStaleMs });
    await enqueueAlone(killed, namesOf('former', 20));
    volume.move();
    volume.silentMs = silentMs;
    const next = start(volume, server);
    next.backend.up();
    const jobs = Promise.all(namesOf('new', 20).map((name) => next.queue.enqueue('t', name)));
    await next.clock.settle(jobs);
    expect(await next.openedMs).toBeGreaterThanOrEqual(tookMs);
    expect(await next.openedMs).toBeLessThanOrEqual(tookMs + 250);
    expect(added(server)).toEqual([...namesOf('former', 20), ...namesOf('new', 20)]);
    expect(next.queue.health()).toMatchObject({ state: 'direct', level: 'healthy' });
    expect(next.queue.getStats()).toMatchObject({ identityRenewals: 0 });
  },
);

test('where the killed container may be silent for long, calls are refused after 20 s, and the volume is opened in time', async () => {
  const volume = new Volume();
  const server = new FakeBackend();
  const killed = start(volume, server, { ownerStaleMs: 120_000 });
  await enqueueAlone(killed, namesOf('former', 20));
  volume.move();
  volume.silentMs = LONG_MS;
  const next = start(volume, server);
  next.backend.up();
  const refused = next.clock.settle(next.queue.enqueue('t', 'too early'));
  await expect(refused).rejects.toMatchObject({
    code: 'JOURNAL_LOCKED',
    outcome: 'not-applied',
    retryable: true,
  });
  expect(next.clock.now()).toBeLessThanOrEqual(20_000);
  expect(next.queue.health()).toMatchObject({
    level: 'critical',
    fallbackFailure: { code: 'JOURNAL_LOCKED' },
  });
  const openedMs = await next.clock.settle(next.openedMs);
  expect(openedMs).toBeGreaterThanOrEqual(60_000);
  expect(openedMs).toBeLessThanOrEqual(65_000);
  await next.clock.settle(next.queue.enqueue('t', 'in time'));
  expect(added(server)).toEqual([...namesOf('former', 20), 'in time']);
});

test('a restarted container waits once, also for the poison jobs of the killed one', async () => {
  const volume = new Volume();
  const server = new FakeBackend();
  const killed = start(volume, server);
  await enqueueAlone(killed, ['poison', 'good']);
  killed.backend.refuseJobs(({ payload }) => (payload === '"poison"' ? 'it is poison' : undefined));
  killed.backend.up();
  await killed.clock.settle(killed.queue.ready());
  while (killed.queue.getStats().poisoned === 0) await killed.clock.advance(10);
  volume.move();
  volume.silentMs = LONG_MS;
  const next = start(volume, server);
  next.backend.up();
  await next.clock.settle(next.queue.enqueue('t', 'new'));
  // Both are watched at once.
  expect(volume.openings.slice(2)).toEqual([
    [DIRECTORY, 0],
    [`${DIRECTORY}/poison`, 0],
  ]);
  expect(added(server)).toEqual(['good', 'new']);
  expect(await next.queue.poisonJobs('t').list()).toMatchObject([{ payload: 'poison' }]);
});

test('of 50,000 jobs that come while a restarted container waits, as many wait as may be pending', async () => {
  const volume = new Volume();
  const server = new FakeBackend();
  await enqueueAlone(start(volume, server), ['former']);
  volume.move();
  const next = start(volume, server);
  next.backend.up();
  const outcomes = new Map<string, number>();
  const count = (outcome: string): void =>
    void outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
  const jobs = Array.from({ length: 50_000 }, (_, job) =>
    next.queue.enqueue('t', job).then(
      ({ accepted }) => count(accepted),
      ({ code, outcome }: { code: string; outcome: string }) => count(`${code} ${outcome}`),
    ),
  );
  await next.clock.advance(0);
  expect([...outcomes]).toEqual([['QUEUE_FULL not-applied', 40_000]]);
  await next.clock.settle(Promise.all(jobs));
  expect(outcomes.get('redis')).toBe(10_000);
  expect(added(server)).toEqual(['former', ...Array.from({ length: 10_000 }, (_, job) => job)]);
});

test('a container that was stopped, not killed, accepts nothing once its volume was taken over', async () => {
  const volume = new Volume();
  const server = new FakeBackend();
  const stopped = start(volume, server);
  stopped.backend.up();
  await stopped.clock.settle(stopped.queue.enqueue('t', 'former'));
  volume.move();
  volume.silentMs = LONG_MS;
  const next = start(volume, server);
  next.backend.up();
  await next.clock.settle(next.queue.enqueue('t', 'new'));
  // It goes on.
  await stopped.clock.advance(10_000);
  const late = stopped.clock.settle(stopped.queue.enqueue('t', 'late'));
  await expect(late).rejects.toMatchObject({ code: 'QUEUE_FALLBACK_FAILED' });
  expect(stopped.queue.health().level).toBe('critical');
  await next.clock.settle(next.queue.enqueue('t', 'late'));
  expect(added(server)).toEqual(['former', 'new', 'late']);
});

test('a queue that is closed while it waits for its volume ends within the deadline, and its jobs are rejected', async () => {
  const volume = new Volume();
  const server = new FakeBackend();
  await enqueueAlone(start(volume, server), ['former']);
  volume.move();
  const next = start(volume, server);
  next.backend.up();
  const waiting = next.queue.enqueue('t', 'waiting');
  const rejected = waiting.catch((error: unknown) => error);
  await next.clock.settle(next.queue.close({ deadlineMs: 1_000 }));
  expect(next.clock.now()).toBeLessThanOrEqual(1_250);
  expect(await rejected).toMatchObject({ code: 'QUEUE_CLOSED', outcome: 'not-applied' });
  // The next one finds all as it was.
  const last = start(volume, server);
  last.backend.up();
  await last.clock.settle(last.queue.enqueue('t', 'waiting'));
  expect(added(server)).toEqual(['former', 'waiting']);
});
