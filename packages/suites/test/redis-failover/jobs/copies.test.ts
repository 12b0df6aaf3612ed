import { cp } from 'node:fs/promises';
import { expect } from '@jest/globals';
import type { NewJob, Queue, QueueOptions } from '@holdfast/queue';
import { nextEvent, systemClock } from '@holdfast/foundation';
import type { RedisFixture } from '../../../src/redis-fixture.ts';
import { Ledger } from '../../../src/ledger.ts';
import { TOPIC, untilDirect } from '../../../src/outage.ts';
import { type ScenarioOutcome, scenario } from '../../../src/scenario.ts';
import { waitUntil } from '../../../src/wait-until.ts';

const FAMILY = 'redis-failover';
const JOBS = 60;

/** Plain, delayed, keyed and with an id of the caller's, in turns. */
function ofAllKinds(job: number): Omit<NewJob, 'payload'> {
  const kinds = [{}, { delayMs: 200 }, { key: `key-${job % 5}` }, { jobId: `job-${job}` }];
  return kinds[job % kinds.length] ?? {};
}

const ALL_KINDS = { topics: { [TOPIC]: { partitions: 3 } }, retainMs: 60_000 } as const;

/** Numbers the jobs of several lives. */
class Lives {
  readonly ledger = new Ledger();
  readonly #fixture: RedisFixture;
  readonly #kindOf: (job: number) => Omit<NewJob, 'payload'>;
  #next = 1;

  constructor(
    fixture: RedisFixture,
    kindOf: (job: number) => Omit<NewJob, 'payload'> = () => ({}),
  ) {
    this.#fixture = fixture;
    this.#kindOf = kindOf;
  }

  async enqueue(queue: Queue, count = JOBS): Promise<void> {
    const first = this.#next;
    this.#next += count;
    const jobs = Array.from({ length: count }, (_, index) => first + index);
    await Promise.all(
      jobs.map(async (job) => {
        const { accepted } = await queue.enqueue(TOPIC, job, this.#kindOf(job));
        this.ledger.accepted(job, accepted);
      }),
    );
  }

  async live(directory: string, options: Partial<QueueOptions> = {}): Promise<void> {
    const queue = this.#fixture.queue({ directory, ...options });
    await this.enqueue(queue);
    await queue.close();
  }

  async copyOf(directory: string): Promise<string> {
    const copy = await this.#fixture.directory();
    await cp(directory, copy, { recursive: true });
    return copy;
  }

  /** Handles all jobs. */
  async verdict(): Promise<ScenarioOutcome> {
    const startedMs = systemClock.now();
    const queue = this.#fixture.queue({ fallback: 'memory' });
    queue.process(TOPIC, ({ payload }) => this.ledger.delivered(Number(payload)));
    await waitUntil(async () => {
      const { waiting, pending, delayed } = await queue.inspect(TOPIC).counts();
      return waiting + pending + delayed === 0;
    });
    await queue.close();
    const { lost, duplicated, ...rest } = this.ledger.verdict();
    // Copies are several producers, whose jobs have no common order.
    const verdict = { ...rest, lost, duplicated, outOfOrder: [] };
    return { verdict, lastedMs: systemClock.now() - startedMs };
  }
}

async function runRestored(fixture: RedisFixture, lives: number): Promise<ScenarioOutcome> {
  const story = new Lives(fixture);
  const directory = await fixture.directory();
  await story.live(directory);
  const restored = await story.copyOf(directory);
  for (let life = 0; life < lives; life += 1) await story.live(directory);
  const queue = fixture.queue({ directory: restored });
  await story.enqueue(queue);
  expect(queue.getStats()).toMatchObject({ state: 'direct', identityRenewals: 1 });
  await story.live(directory);
  await story.enqueue(queue);
  return story.verdict();
}

scenario(
  FAMILY,
  {
    promise: 'a journal directory that was restored from 1 life back loses nothing',
    fault: 'the directory is replaced by an older copy',
  },
  (fixture) => runRestored(fixture, 1),
);

scenario(
  FAMILY,
  {
    promise: 'a journal directory that was restored from 2 lives back loses nothing',
    fault: 'the directory is replaced by an older copy',
  },
  (fixture) => runRestored(fixture, 2),
);

scenario(
  FAMILY,
  {
    promise: 'two clones of a journal directory at once lose nothing, and add what both hold once',
    fault: 'two copies of a directory with a backlog are opened at once',
  },
  async (fixture) => {
    const story = new Lives(fixture);
    const directory = await fixture.directory();
    await fixture.redis.kill();
    await story.live(directory);
    await fixture.redis.start();
    const copies = [await story.copyOf(directory), await story.copyOf(directory)];
    const queues = copies.map((copy) => fixture.queue({ directory: copy }));
    for (let round = 0; round < 3; round += 1) {
      await Promise.all(queues.map((queue) => story.enqueue(queue, 100)));
    }
    const renewals = queues.map((queue) => queue.getStats().identityRenewals);
    expect(renewals.reduce((sum, count) => sum + count)).toBe(1);
    return story.verdict();
  },
);

scenario(
  FAMILY,
  {
    promise: 'a restored journal directory loses nothing on a Redis that was flushed',
    fault: 'an older copy of the directory, then FLUSHALL',
    mayForget: true,
  },
  async (fixture) => {
    const story = new Lives(fixture);
    const directory = await fixture.directory();
    await story.live(directory);
    const restored = await story.copyOf(directory);
    await story.live(directory);
    const forgotten = story.ledger.acceptedBy('redis');
    await fixture.admin((client) => client.flushall());
    const queue = fixture.queue({ directory: restored });
    await story.enqueue(queue);
    await story.live(directory);
    await story.enqueue(queue);
    return { ...(await story.verdict()), forgotten };
  },
);

async function runRestoredOfAllKinds(
  fixture: RedisFixture,
  acknowledge: 'redis' | 'local',
): Promise<ScenarioOutcome> {
  const story = new Lives(fixture, ofAllKinds);
  const options = { ...ALL_KINDS, acknowledge };
  const directory = await fixture.directory();
  await story.live(directory, options);
  const restored = await story.copyOf(directory);
  await story.live(directory, options);
  await story.live(directory, options);
  const queue = fixture.queue({ directory: restored, ...options });
  const renewed = nextEvent(queue, 'identity-renewed');
  await story.enqueue(queue);
  await renewed;
  await waitUntil(() => queue.getStats().backlog.jobs === 0);
  expect(queue.getStats()).toMatchObject({ state: 'direct', identityRenewals: 1 });
  await story.live(directory, options);
  await story.enqueue(queue);
  await waitUntil(() => queue.getStats().backlog.jobs === 0);
  return story.verdict();
}

scenario(
  FAMILY,
  {
    promise: 'a restored journal directory loses and doubles no delayed, keyed or chosen-id job',
    fault: 'the directory is replaced by an older copy; jobs of all kinds',
  },
  (fixture) => runRestoredOfAllKinds(fixture, 'redis'),
);

scenario(
  FAMILY,
  {
    promise: 'a restored journal directory loses and doubles no job that was accepted locally',
    fault: "the directory is replaced by an older copy; jobs of all kinds, acknowledge: 'local'",
  },
  (fixture) => runRestoredOfAllKinds(fixture, 'local'),
);

scenario(
  FAMILY,
  {
    promise:
      'two clones of a journal directory lose and double no job of any kind when Redis forgets all',
    fault:
      'two copies of a directory with a backlog are opened at once; Redis is killed without persistence',
  },
  async (fixture) => {
    const story = new Lives(fixture, ofAllKinds);
    const directory = await fixture.directory();
    await fixture.redis.kill();
    await story.live(directory, ALL_KINDS);
    await fixture.redis.start();
    const copies = [await story.copyOf(directory), await story.copyOf(directory)];
    const queues = copies.map((copy) => fixture.queue({ directory: copy, ...ALL_KINDS }));
    await Promise.all(queues.map((queue) => story.enqueue(queue)));
    await fixture.redis.kill();
    await Promise.all(queues.map((queue) => story.enqueue(queue)));
    await fixture.redis.start();
    await Promise.all(queues.map(untilDirect));
    await Promise.all(queues.map((queue) => story.enqueue(queue)));
    return story.verdict();
  },
);
