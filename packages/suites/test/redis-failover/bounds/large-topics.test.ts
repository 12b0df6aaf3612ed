import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Queue } from '@holdfast/queue';
import { type RedisFixture, openRedisFixture } from '../../../src/redis-fixture.ts';
import { TOPIC } from '../../../src/outage.ts';
import { waitUntil } from '../../../src/wait-until.ts';

const JOBS = 10_000;
/** More than a script promotes at once, by number and by bytes. */
const DUE = 2_000;
const BYTES = 20_000;
const KEYS = `holdfast:{${TOPIC}}`;
/** How long a script or command may occupy the server. */
const MOST_US = 10_000;
/** A busy machine interrupts the server as well: this share of the calls may take longer. */
const INTERRUPTED = 0.02;

let fixture: RedisFixture;
let queue: Queue;

beforeAll(async () => {
  fixture = await openRedisFixture({ 'slowlog-max-len': '100000' });
  queue = fixture.queue({ fallback: 'memory' });
  await queue.ready();
});

afterAll(() => fixture.close());

/** Fills the dead letters, or the delayed jobs, with jobs of 20 kB; each call leaves the server for others. */
async function fill(
  jobs: number,
  command: (job: number, payload: string) => (string | number)[],
): Promise<void> {
  await fixture.admin(async (client) => {
    const payload = JSON.stringify('x'.repeat(BYTES));
    for (let from = 0; from < jobs; from += 100) {
      const pipeline = client.pipeline();
      for (let job = from; job < from + 100; job += 1) {
        const [name = '', ...args] = command(job, payload);
        pipeline.call(String(name), ...args);
      }
      await pipeline.exec();
    }
  });
}

/** Fails when scripts and commands occupied the server for too long while `work` ran. */
async function expectShort(work: () => Promise<unknown>): Promise<void> {
  await fixture.admin(async (client) => {
    await client.config('SET', 'slowlog-log-slower-than', 100);
    await client.call('SLOWLOG', 'RESET');
  });
  await work();
  const reply = await fixture.admin((client) => client.call('SLOWLOG', 'GET', '-1'));
  const calls: unknown[][] = Array.isArray(reply) ? reply : [];
  const tookUs = calls.map((call) => Number(call[2])).toSorted((one, other) => one - other);
  expect(tookUs.length).toBeGreaterThan(10);
  const longest = tookUs.at(Math.floor(tookUs.length * (1 - INTERRUPTED)) - 1);
  expect(longest).toBeLessThan(MOST_US);
  expect(tookUs.at(-1)).toBeLessThan(30 * MOST_US);
}

test('10 000 dead letters of 20 kB are listed and redriven without stopping Redis', async () => {
  await fill(JOBS, (job, payload) => {
    const fields = ['id', `dead-${job}`, 'at', 1, 'payload', payload, 'deliveries', 3];
    return ['XADD', `${KEYS}:dead`, '*', ...fields, 'reason', 'boom', 'history', '[]'];
  });
  const letters = queue.deadLetters(TOPIC);
  await expectShort(async () => {
    expect(await letters.redrive({ limit: 1 })).toBe(1);
    expect(await letters.redrive({ ids: ['dead-9999', 'dead-17'] })).toBe(2);
    expect(await letters.list({ limit: 1_000 })).toHaveLength(1_000);
    expect(await letters.redrive({ limit: 2_000 })).toBe(2_000);
  });
  expect(await queue.inspect(TOPIC).counts()).toMatchObject({ waiting: 2_003, dead: 7_997 });
});

test('2 000 waiting jobs of 20 kB are counted and listed without stopping Redis', async () => {
  await expectShort(async () => {
    const jobs = await queue.inspect(TOPIC).peek('waiting', { limit: 1_000 });
    expect(jobs.slice(0, 4).map(({ id }) => id)).toEqual([
      'dead-0',
      'dead-17',
      'dead-9999',
      'dead-1',
    ]);
    expect(jobs).toHaveLength(1_000);
    await queue.inspect(TOPIC).counts();
  });
});

test('2 000 jobs of 20 kB that are due together are promoted without stopping Redis', async () => {
  await fixture.admin((client) => client.flushall());
  await fill(DUE, (job, payload) => [
    'ZADD',
    `${KEYS}:delayed`,
    1_000 + job,
    `late-${job}\n1\n${payload}`,
  ]);
  let handled = 0;
  await expectShort(async () => {
    expect(await queue.inspect(TOPIC).peek('delayed', { limit: 1_000 })).toHaveLength(1_000);
    queue.process(TOPIC, () => void (handled += 1));
    await waitUntil(() => handled === DUE);
  });
});

test('of 100,000 waiting and 20,000 delayed jobs, one is cancelled, and all are purged, without stopping Redis', async () => {
  const topic = 'large';
  const jobs = Array.from({ length: 100_000 }, (_, payload) => ({ payload, jobId: `j${payload}` }));
  const delayed = jobs.slice(0, 20_000).map(({ payload }) => {
    return { payload, jobId: `d${payload}`, delayMs: 3_600_000 };
  });
  for (let from = 0; from < jobs.length; from += 5_000) {
    await queue.enqueueMany(topic, jobs.slice(from, from + 5_000));
  }
  for (let from = 0; from < delayed.length; from += 5_000) {
    await queue.enqueueMany(topic, delayed.slice(from, from + 5_000));
  }
  await expectShort(async () => {
    expect((await queue.pause(topic)).outcome).toBe('paused');
    expect((await queue.cancel(topic, 'j99999')).outcome).toBe('removed');
    expect((await queue.promote(topic, 'd19999')).outcome).toBe('promoted');
    expect((await queue.cancel(topic, 'nobody')).outcome).toBe('not-found');
    expect(await queue.purge(topic)).toBe(119_999);
  });
  expect(await queue.inspect(topic).counts()).toMatchObject({ waiting: 0, delayed: 0 });
});
