import { describe, expect, test } from '@jest/globals';
import { nextEvent, seededRandom } from '@holdfast/foundation';
import type { QueueEvents } from '../../src/queue.ts';
import { FakeBackend } from '../fake/fake-backend.ts';
import type { TestQueue } from '../open-queue.ts';
import {
  type KindOfJobs,
  added,
  addedInOrder,
  copyOf,
  enqueueAll,
  freshDirectory,
  live,
  liveAlone,
  namesOf,
  open,
  untilSent,
} from './copied-directories.ts';

const HOUR_MS = 3_600_000;
const JOBS = 60;

const kinds: [string, KindOfJobs][] = [
  ['delayed jobs', { job: () => ({ delayMs: HOUR_MS }) }],
  [
    'jobs with keys',
    {
      options: { topics: { t: { partitions: 3 } } },
      job: (name) => ({ key: name.slice(-1) }),
    },
  ],
  ['jobs with a jobId', { job: (jobId) => ({ jobId }) }],
  ["jobs accepted with acknowledge: 'local'", { options: { acknowledge: 'local' } }],
  ['jobs that are retained for long', { options: { retainMs: HOUR_MS } }],
  [
    'delayed jobs with a jobId, accepted locally and retained for long',
    {
      options: { acknowledge: 'local', retainMs: HOUR_MS },
      job: (jobId) => ({ jobId, delayMs: HOUR_MS }),
    },
  ],
];

/** What the server has added of the names with this prefix keeps the order of the calls. */
function expectInOrder(server: FakeBackend, prefix: string, count: number): void {
  const own = addedInOrder(server).filter((name) => name.startsWith(`${prefix}-`));
  expect(own).toEqual(namesOf(prefix, count));
}

function renewalsOf({ queue }: TestQueue): QueueEvents['identity-renewed'][] {
  const renewals: QueueEvents['identity-renewed'][] = [];
  queue.on('identity-renewed', (event) => renewals.push(event));
  return renewals;
}

describe.each(kinds)('%s', (_, kind) => {
  test.each([1, 2])(
    'of a directory restored from %i lives back are all added once, and its new identity is said',
    async (lives) => {
      const directory = await freshDirectory();
      const server = new FakeBackend();
      await live(directory, server, namesOf('before', JOBS), kind);
      const restored = await copyOf(directory);
      const prefixes = ['before', 'restored'];
      for (let life = 1; life <= lives; life += 1) {
        await live(directory, server, namesOf(`life${life}`, JOBS), kind);
        prefixes.push(`life${life}`);
      }
      const one = open(restored, server, kind);
      const renewals = renewalsOf(one);
      await enqueueAll(one, namesOf('restored', JOBS), kind);
      await untilSent(one);
      expect(added(server)).toEqual(prefixes.flatMap((name) => namesOf(name, JOBS)).toSorted());
      for (const prefix of prefixes) expectInOrder(server, prefix, JOBS);
      expect(renewals).toHaveLength(1);
      expect(one.queue.getStats()).toMatchObject({ identityRenewals: 1, dataLoss: { jobs: 0 } });
    },
  );

  test('in the journal of a restored directory are added by its next life, once', async () => {
    const directory = await freshDirectory();
    const server = new FakeBackend();
    await live(directory, server, namesOf('before', JOBS), kind);
    const restored = await copyOf(directory);
    await live(directory, server, namesOf('original', JOBS), kind);
    await live(directory, server, namesOf('later', JOBS), kind);
    await liveAlone(restored, server, namesOf('restored', JOBS), kind);
    await live(restored, server, namesOf('own', JOBS), kind);
    for (const prefix of ['before', 'original', 'later', 'restored', 'own']) {
      expectInOrder(server, prefix, JOBS);
    }
    expect(added(server)).toHaveLength(5 * JOBS);
  });

  test('of two clones at once are all added once, also those that both journals hold', async () => {
    const directory = await freshDirectory();
    const server = new FakeBackend();
    // Two lives, whose jobs have numbers of their own.
    await liveAlone(directory, server, namesOf('shared', JOBS), kind);
    await liveAlone(directory, server, namesOf('also', JOBS), kind);
    const clones = [await copyOf(directory), await copyOf(directory)].map((path) =>
      open(path, server, kind),
    );
    const renewals = clones.map(renewalsOf);
    for (const round of ['one', 'two']) {
      const jobs = clones.map((clone, index) =>
        enqueueAll(clone, namesOf(`${round}${index}`, JOBS), kind),
      );
      await Promise.all(jobs);
    }
    await Promise.all(clones.map(untilSent));
    for (const prefix of ['shared', 'also', 'one0', 'one1', 'two0', 'two1']) {
      expectInOrder(server, prefix, JOBS);
    }
    expect(added(server)).toHaveLength(6 * JOBS);
    expect(renewals.flat()).toHaveLength(1);
  });

  test('of clones that lose the server in turns are all added once', async () => {
    const directory = await freshDirectory();
    const server = new FakeBackend();
    await live(directory, server, namesOf('before', 1), kind);
    const clones = [await copyOf(directory), directory].map((path) => open(path, server, kind));
    await Promise.all(clones.map(({ queue }) => queue.ready()));
    for (let round = 0; round < 4; round += 1) {
      const away = clones[round % 2];
      away?.backend.down();
      const jobs = clones.map((clone, index) =>
        enqueueAll(clone, namesOf(`${round}x${index}`, JOBS), kind),
      );
      await Promise.all(jobs);
      away?.backend.up();
      await Promise.all(clones.map(untilSent));
      for (const index of [0, 1]) expectInOrder(server, `${round}x${index}`, JOBS);
    }
    expect(added(server)).toHaveLength(8 * JOBS + 1);
  });
});

test('one jobId that several copies enqueue is added once, and every further call is told so', async () => {
  const directory = await freshDirectory();
  const server = new FakeBackend();
  const byId: KindOfJobs = { job: (name) => ({ jobId: name }) };
  await liveAlone(directory, server, namesOf('id', 20), byId);
  const clones = [await copyOf(directory), await copyOf(directory)].map((path) =>
    open(path, server, byId),
  );
  const answers = await Promise.all(
    clones.map((clone) => enqueueAll(clone, namesOf('id', 40), byId)),
  );
  await Promise.all(clones.map(untilSent));
  expect(added(server)).toEqual(namesOf('id', 40).toSorted());
  const duplicates = answers.flat().filter(({ duplicate }) => duplicate === true);
  // 20 were in the journals of both; of the other 20, one of two calls is the first.
  expect(duplicates).toHaveLength(60);
});

test('what two clones retain is sent again after the server has forgotten it, once', async () => {
  const kind: KindOfJobs = { options: { retainMs: HOUR_MS } };
  const directory = await freshDirectory();
  const server = new FakeBackend();
  await liveAlone(directory, server, namesOf('shared', JOBS), kind);
  const clones = [await copyOf(directory), await copyOf(directory)].map((path) =>
    open(path, server, kind),
  );
  await Promise.all(
    clones.map((one, index) => enqueueAll(one, namesOf(`own${index}`, JOBS), kind)),
  );
  await Promise.all(clones.map(untilSent));
  for (const { backend } of clones) backend.down();
  server.forget();
  server.applied.clear();
  const drained = clones.map(({ queue }) =>
    nextEvent(queue, 'state', { matches: ({ to }) => to === 'direct' }),
  );
  for (const { backend } of clones) backend.up();
  await Promise.all(drained);
  for (const prefix of ['shared', 'own0', 'own1']) expectInOrder(server, prefix, JOBS);
  expect(added(server)).toHaveLength(3 * JOBS);
  // What both hold is missed by the one that comes first.
  const losses = clones.map(({ queue }) => queue.getStats().dataLoss.resent);
  expect(losses.toSorted((one, other) => one - other)).toEqual([JOBS, 2 * JOBS]);
});

/** Copies of one directory on one server, and what they have accepted. */
class Story {
  readonly #server = new FakeBackend();
  readonly #random: () => number;
  readonly #copies: { directory: string; queue: TestQueue; isUp: boolean }[] = [];
  /** The jobs that were accepted. */
  readonly names: string[] = [];
  renewals = 0;
  /** How often a new identity was said. */
  said = 0;

  constructor(seed: number) {
    this.#random = seededRandom(seed);
  }

  /** @returns the jobs that the server has added. */
  async run(steps: number): Promise<string[]> {
    await this.#add(await freshDirectory());
    for (let step = 0; step < steps; step += 1) await this.#step(step);
    for (const copy of this.#copies) copy.queue.backend.up();
    await Promise.all(this.#copies.map(({ queue }) => untilSent(queue)));
    for (const { queue } of this.#copies) this.#end(queue);
    return added(this.#server);
  }

  async #step(step: number): Promise<void> {
    const copy = this.#copies[this.#upTo(this.#copies.length)];
    if (copy === undefined) return;
    const { queue, directory } = copy;
    const action = this.#upTo(10);
    if (action === 0 && this.#copies.length < 4) return this.#add(await copyOf(directory));
    if (action <= 2) {
      await queue.queue.close();
      this.#end(queue);
      this.#copies.splice(this.#copies.indexOf(copy), 1);
      return this.#add(directory, copy.isUp);
    }
    if (action === 3) {
      copy.isUp = !copy.isUp;
      if (copy.isUp) queue.backend.up();
      else queue.backend.down();
      return undefined;
    }
    if (action === 4 && copy.isUp) queue.backend.loseNextReply();
    const names = namesOf(`step${step}`, 1 + this.#upTo(5));
    this.names.push(...names);
    const jobs = names.map((name) =>
      queue.queue.enqueue('t', name, {
        delayMs: this.#upTo(2) * HOUR_MS,
        ...(this.#upTo(2) === 0 && { jobId: name }),
        ...(this.#upTo(2) === 0 && { key: name.slice(-1) }),
      }),
    );
    await Promise.all(jobs);
  }

  async #add(directory: string, isUp = true): Promise<void> {
    const acknowledge = this.#upTo(2) === 0 ? 'local' : 'redis';
    const retainMs = this.#upTo(2) * HOUR_MS;
    const topics = { t: { partitions: 2 } };
    const kind = { options: { acknowledge, retainMs, topics } } as const;
    const queue = open(directory, this.#server, kind, isUp);
    queue.queue.on('identity-renewed', () => (this.said += 1));
    await queue.backend.opened;
    if (!isUp) queue.backend.failAttempt({ errorClass: 'unreachable', message: 'it is down' });
    await queue.queue.ready();
    this.#copies.push({ directory, queue, isUp });
  }

  #end({ queue }: TestQueue): void {
    this.renewals += queue.getStats().identityRenewals;
  }

  #upTo(count: number): number {
    return Math.floor(this.#random() * count);
  }
}

test('whatever copies of one directory do, and whenever they are made, each job is added once', async () => {
  let renewals = 0;
  for (let seed = 1; seed <= 3; seed += 1) {
    const story = new Story(seed);
    expect(await story.run(40)).toEqual(story.names.toSorted());
    expect(story.said).toBe(story.renewals);
    renewals += story.renewals;
  }
  expect(renewals).toBeGreaterThan(3);
});
