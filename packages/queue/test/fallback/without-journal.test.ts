import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterEach, expect, test } from '@jest/globals';
import { seededRandom } from '@holdfast/foundation';
import { type FakeClock, createFakeClock } from '@holdfast/foundation/testing';
import { JournalLockedError, openJournal } from '@holdfast/journal';
import { createMemoryFileSystem } from '@holdfast/journal/testing';
import { DurableQueue } from '../../src/durable-queue.ts';
import type { Publication, PublishReceipt } from '../../src/backend.ts';
import { BackendError } from '../../src/errors.ts';
import type { JournalFactory } from '../../src/fallback/open-fallback.ts';
import { type QueueOptions, parseQueueOptions } from '../../src/options.ts';
import { FakeBackend } from '../fake/fake-backend.ts';

const DO_WITHOUT_AFTER_MS = 250;
const REOPEN_MS = 1_000;
const gone = new BackendError('unreachable', 'connection refused');
const opened: Opened[] = [];

afterEach(async () => {
  const closing = opened.splice(0);
  for (const { queue, clock } of closing) {
    await clock.settle(queue.close({ deadlineMs: 1 }).catch(() => undefined));
  }
  for (const { clock } of closing) expect(clock.pendingTimers).toBe(0);
});

/** A directory whose journal another process owns, or nobody. */
class Directory {
  isLocked = false;
  /** An opening ends only after it. */
  gate: Promise<void> = Promise.resolve();
  /** An opening waits for the gate, and for nothing else. */
  isAtGate = false;
  readonly journals: JournalFactory = {
    open: async (options) => {
      if (this.isLocked) throw new JournalLockedError('/jobs', 'it is locked', { retryable: true });
      const journal = await openJournal({ ...options, files: this.#files });
      this.isAtGate = true;
      await this.gate;
      return journal;
    },
    exists: async () => false,
  };
  readonly #files = createMemoryFileSystem();
}

/** A server that takes the longer for a publication the earlier it comes. */
class SlowingBackend extends FakeBackend {
  #turns = 12;

  override async publish(publication: Publication): Promise<PublishReceipt> {
    this.#turns = Math.max(0, this.#turns - 3);
    for (let turn = 0; turn < this.#turns; turn += 1) await nextTurn();
    return super.publish(publication);
  }
}

interface Opened {
  readonly queue: DurableQueue;
  readonly backend: FakeBackend;
  readonly clock: FakeClock;
}

function open(
  directory: Directory,
  options: Partial<QueueOptions> = {},
  clock: FakeClock = createFakeClock(),
  backend: FakeBackend = new FakeBackend(undefined, clock),
): Opened {
  const resolved = parseQueueOptions({
    redis: { url: 'redis://127.0.0.1:1' },
    fallback: { journal: { directory: '/jobs' }, whenUnavailable: 'redis' },
    clock,
    random: seededRandom(1),
    ...options,
  });
  const queue = new DurableQueue(backend, resolved, directory.journals);
  const one = { queue, backend, clock };
  opened.push(one);
  return one;
}

/** A queue that sends its jobs to Redis because its journal does not open. */
async function openWithout(...given: Parameters<typeof open>): Promise<Opened> {
  const one = open(...given);
  await one.clock.advance(DO_WITHOUT_AFTER_MS);
  one.backend.up();
  await one.queue.ready();
  return one;
}

const applied = ({ backend }: Opened, topic = 't'): unknown[] =>
  (backend.applied.get(topic) ?? []).map((json) => JSON.parse(json));

/** Lets turns pass, but no time, until it is so. */
async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await nextTurn();
}

const upTo = (count: number): number[] => Array.from({ length: count }, (_, job) => job + 1);

test.each(upTo(8))(
  'jobs enqueued in the very turn in which the journal opens keep their order, and none is rejected (step %i)',
  async (steps) => {
    const directory = new Directory();
    const opening = Promise.withResolvers<void>();
    directory.gate = opening.promise;
    const clock = createFakeClock();
    const one = await openWithout(directory, {}, clock, new SlowingBackend(undefined, clock));
    const { queue } = one;
    await queue.enqueue('t', 1);
    await until(() => directory.isAtGate);
    opening.resolve();
    for (let step = 0; step < steps; step += 1) await Promise.resolve();
    const jobs = [queue.enqueue('t', 2)];
    for (let job = 3; job <= 9; job += 1) {
      await nextTurn();
      jobs.push(queue.enqueue('t', job));
    }
    await Promise.all(jobs);
    expect(applied(one)).toEqual(upTo(9));
    expect(queue.getStats().acceptedByRedis).toBe(9);
  },
);

test('jobs that wait for room in a full topic go on waiting when the journal opens, and come in order', async () => {
  const directory = new Directory();
  directory.isLocked = true;
  const topics = { t: { maxJobs: 2 } };
  const one = await openWithout(directory, { topics, backpressure: 'wait' });
  const { queue, clock } = one;
  const jobs = [1, 2, 3, 4].map((job) => queue.enqueue('t', job));
  const list = queue.enqueueMany('t', [{ payload: 5 }, { payload: 6 }]);
  await jobs[1];
  directory.isLocked = false;
  await clock.advance(REOPEN_MS);
  await until(() => queue.health().fallbackFailure === undefined);
  // Other topics do not wait for it.
  await queue.enqueue('other', 'free');
  queue.process('t', () => undefined, { concurrency: 1 });
  await clock.settle(Promise.all([...jobs, list]));
  expect(applied(one)).toEqual(upTo(6));
});

test('jobs that wait for room when the journal opens go into it when Redis is lost', async () => {
  const directory = new Directory();
  directory.isLocked = true;
  const topics = { t: { maxJobs: 2 } };
  const one = await openWithout(directory, { topics, backpressure: 'wait' });
  const { queue, clock, backend } = one;
  const jobs = [1, 2, 3, 4].map((job) => queue.enqueue('t', job));
  await jobs[1];
  directory.isLocked = false;
  await clock.advance(REOPEN_MS);
  await until(() => queue.health().fallbackFailure === undefined);
  backend.down();
  const accepted = await clock.settle(Promise.all(jobs));
  expect(accepted.map((each) => each.accepted)).toEqual(['redis', 'redis', 'journal', 'journal']);
});

test.each([
  ['up', 'redis'],
  ['down', 'journal'],
] as const)(
  'jobs that an earlier owner left in the journal come after those sent meanwhile and before later ones, each group in order (Redis is %s when it opens)',
  async (redis, acceptor) => {
    const directory = new Directory();
    const clock = createFakeClock();
    const earlier = open(directory, {}, clock);
    await earlier.backend.opened;
    earlier.backend.failAttempt(gone);
    const left = [1, 2].map((job) => earlier.queue.enqueue('t', job));
    expect(await Promise.all(left)).toMatchObject([
      { accepted: 'journal' },
      { accepted: 'journal' },
    ]);
    await earlier.queue.close();

    directory.isLocked = true;
    const one = await openWithout(directory, {}, clock, new FakeBackend(earlier.backend, clock));
    const { queue, backend } = one;
    for (const job of [3, 4]) {
      expect(await queue.enqueue('t', job)).toMatchObject({ accepted: 'redis' });
    }
    if (redis === 'down') backend.down();
    directory.isLocked = false;
    await clock.advance(REOPEN_MS);
    await until(() => queue.health().fallbackFailure === undefined);
    expect(await queue.enqueue('t', 5)).toMatchObject({ accepted: acceptor });
    backend.up();
    await clock.settle(until(() => queue.getStats().backlog.jobs === 0));
    expect(applied(one)).toEqual([3, 4, 1, 2, 5]);
  },
);

/** Its journal opens after it has sent jobs without one. */
async function openLate(
  jobs: readonly number[],
  options: Partial<QueueOptions> = {},
): Promise<Opened & { readonly states: string[]; readonly openJournal: () => Promise<void> }> {
  const directory = new Directory();
  directory.isLocked = true;
  const one = await openWithout(directory, options);
  const { queue, clock } = one;
  const states: string[] = [];
  queue.on('state', ({ from, to }) => states.push(`${from} to ${to}`));
  for (const job of jobs) await queue.enqueue('t', job);
  return {
    ...one,
    states,
    async openJournal() {
      directory.isLocked = false;
      await clock.advance(REOPEN_MS);
      await until(() => queue.health().fallbackFailure === undefined);
    },
  };
}

const stored = ({ backend }: Opened): number[] =>
  (backend.topics.get('t')?.entries ?? [])
    .map(({ payload }) => Number(payload))
    .toSorted((one, other) => one - other);

test.each([
  ['before the journal opens', 'before'],
  ['after it has opened', 'after'],
  ['after it has opened, and none was sent since', 'idle'],
])(
  'what Redis loses %s is sent again and counted, also what was sent without a journal',
  async (_, when) => {
    const one = await openLate([1, 2, 3, 4, 5]);
    const { queue, backend, clock } = one;
    const lose = (): void => {
      backend.forget();
      backend.down();
      backend.up();
    };
    if (when === 'before') {
      backend.down();
      backend.forget();
    }
    await one.openJournal();
    if (when === 'before') backend.up();
    await clock.settle(until(() => queue.state === 'direct'));
    if (when !== 'idle') for (const job of [6, 7, 8]) await queue.enqueue('t', job);
    const all = when === 'idle' ? upTo(5) : upTo(8);
    if (when !== 'before') lose();
    await clock.settle(until(() => queue.state === 'direct'));
    expect(stored(one)).toEqual(all);
    const lost = when === 'after' ? 8 : 5;
    expect(queue.getStats().dataLoss).toMatchObject({ jobs: lost, resent: lost });
  },
);

test('what Redis lost and got again without a journal stays counted once the journal opens', async () => {
  const one = await openLate([1, 2, 3]);
  const { queue, backend, clock } = one;
  backend.forget();
  backend.down();
  backend.up();
  await clock.settle(until(() => queue.state === 'direct'));
  await one.openJournal();
  expect(queue.getStats().dataLoss).toMatchObject({ count: 1, jobs: 3, resent: 3 });
});

test('what was sent without a journal longer ago than retainMs is not sent again', async () => {
  const one = await openLate([1, 2, 3], { retainMs: 5_000 });
  const { queue, backend, clock } = one;
  await one.openJournal();
  await clock.advance(5_001);
  await queue.enqueue('t', 4);
  backend.forget();
  backend.down();
  backend.up();
  await clock.settle(until(() => queue.state === 'direct'));
  expect(stored(one)).toEqual([4]);
  expect(queue.getStats().dataLoss).toMatchObject({ resent: 1 });
});

test.each([
  ['up', []],
  ['down', ['direct to buffering']],
])('a journal that opens changes no state of a live queue: Redis is %s', async (redis, states) => {
  const one = await openLate([1, 2]);
  const { queue, backend, clock } = one;
  if (redis === 'down') backend.down();
  await one.openJournal();
  await clock.settle(queue.enqueue('t', 3));
  await queue.ready();
  expect(one.states).toEqual(states);
  expect(queue.state).toBe(redis === 'up' ? 'direct' : 'buffering');
});
