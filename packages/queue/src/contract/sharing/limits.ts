// Not the global one, which a test may fake.
import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect } from '@jest/globals';
import { systemClock } from '@holdfast/foundation';
import type { QueueBackend } from '../../backend.ts';
import type { LimitStore, LimitedSlot, StartPermit } from '../../limits/limit-store.ts';
import { aWhile, collect } from '../collect.ts';
import type { DeclareTest, OpenContractQueue } from '../guarantees.ts';
import { PARTS } from '../jobs.ts';
import type { Job } from '../../queue.ts';

const { TOPIC, LEASE_MS } = PARTS;
const NONE = { perSecond: 0, running: 0 };
const JOBS = 12;
/** Slow enough that no test sees a second start. */
const ONE_AN_HOUR = { perSecond: 1 / 3_600, running: 0 };

/** The consumers of a topic share its limits. */
export function honoursLimits(openUp: OpenContractQueue, test: DeclareTest): void {
  test('consumers that share a limit of running jobs never run more together, and handle all', async () => {
    const queue = await openUp();
    const { take, reached } = collect();
    let running = 0;
    let most = 0;
    await queue.enqueueMany('limited', payloads());
    for (const name of ['one', 'two', 'three']) {
      queue.process(
        'limited',
        async (job) => {
          running += 1;
          most = Math.max(most, running);
          await new Promise(setImmediate);
          running -= 1;
          take(job);
        },
        { name, limits: { maxRunning: 2 } },
      );
    }
    await reached(JOBS);
    expect(most).toBeLessThanOrEqual(2);
  });

  test('consumers that share a rate start no more jobs than it allows, and handle all', async () => {
    const queue = await openUp();
    const { jobs, take, reached } = collect();
    await queue.enqueueMany('limited', payloads());
    const sinceMs = systemClock.now();
    for (const name of ['one', 'two', 'three']) {
      queue.process('limited', take, { name, limits: { maxPerSecond: 20 } });
    }
    await reached(JOBS);
    // Two may start at once.
    expect(systemClock.now() - sinceMs).toBeGreaterThanOrEqual((JOBS - 3) * 50);
    expect(new Set(jobs.map(({ payload }) => payload)).size).toBe(JOBS);
  });

  test('a key over its limit does not hold up the jobs of others, and its attempts do not count', async () => {
    const queue = await openUp();
    const { jobs, take, reached } = collect();
    const busy = Array.from({ length: 6 }, (_, n) => ({ payload: { tenant: 'busy', n } }));
    await queue.enqueueMany('limited', [...busy, { payload: { tenant: 'quiet', n: 0 } }]);
    const of = ({ payload }: { payload: unknown }): string => String(Object(payload).tenant);
    queue.process('limited', take, { limits: { perKey: { of, maxPerSecond: 10 } } });
    await reached(7);
    const tenants = jobs.map(({ payload }) => String(Object(payload).tenant));
    expect(tenants.indexOf('quiet')).toBeLessThanOrEqual(2);
    expect(jobs.map(({ attempt }) => attempt)).toEqual(jobs.map(() => 1));
  });

  test('limits that limit nothing, or less than nothing, are refused', async () => {
    const queue = await openUp();
    const refused = (field: string): unknown =>
      expect.objectContaining({ code: 'INVALID_OPTION', field });
    const start = (limits: object) => () => queue.process('limited', () => undefined, { limits });
    expect(start({})).toThrow(refused('limits'));
    expect(start({ maxRunning: 0 })).toThrow(refused('limits.maxRunning'));
    expect(start({ maxPerSecond: -1 })).toThrow(refused('limits.maxPerSecond'));
    expect(start({ perKey: { of: () => 'key' } })).toThrow(refused('limits.perKey'));
  });
}

/** A job that waits under a limit is controlled as any other that a consumer holds. */
export function honoursLimitedControl(openUp: OpenContractQueue, test: DeclareTest): void {
  test('a job that waits under a limit never starts once it is cancelled, nor while its topic is paused', async () => {
    const queue = await openUp();
    const { jobs, take, reached } = collect();
    const end = Promise.withResolvers<undefined>();
    const handler = async (job: Job): Promise<void> => {
      take(job);
      await end.promise;
    };
    const ids = ['a', 'b', 'c'];
    await queue.enqueueMany(
      'limited',
      ids.map((jobId) => ({ payload: jobId, jobId })),
    );
    queue.process('limited', handler, { concurrency: 3, limits: { maxRunning: 1 } });
    await reached(1);
    const topic = queue.inspect('limited');
    while ((await topic.counts()).pending < ids.length) await nextTurn();
    const [cancelled = '', left = ''] = ids.filter((id) => id !== jobs[0]?.id);
    expect(await queue.cancel('limited', cancelled)).toMatchObject({ outcome: 'aborting' });
    expect(await queue.pause('limited')).toMatchObject({ outcome: 'paused' });
    end.resolve(undefined);
    await aWhile(queue);
    expect(jobs).toHaveLength(1);
    await queue.resume('limited');
    await reached(2);
    const { waiting, pending, delayed, dead } = await topic.counts();
    expect({ waiting, delayed, dead }).toEqual({ waiting: 0, delayed: 0, dead: 0 });
    expect(pending).toBeLessThanOrEqual(1);
    expect(jobs[1]?.id).toBe(left);
    await aWhile(queue);
    expect(jobs).toHaveLength(2);
  });
}

function payloads(): { payload: number }[] {
  return Array.from({ length: JOBS }, (_, payload) => ({ payload }));
}

/** A store grants what consumers share in one atomic step. */
export function honoursLimitStore(openUp: () => Promise<QueueBackend>, test: DeclareTest): void {
  const open = async (): Promise<LimitStore> => {
    const { limits } = await openUp();
    if (limits === undefined) throw new Error('the store has no limits');
    return limits;
  };
  const slots = (names: string, key?: string): LimitedSlot[] =>
    names.split('').map((slot) => ({ slot, key }));
  const kinds = (permits: readonly StartPermit[]): string[] => permits.map(({ kind }) => kind);
  const request = { topic: TOPIC, leaseMs: LEASE_MS, running: [], jobs: [] };

  test('a slot is free again when its job has ended, and is not taken twice by one job', async () => {
    const store = await open();
    const limits = { topic: { perSecond: 0, running: 2 }, key: NONE };
    const leased = { ...request, limits, leaseMs: 60_000 };
    const ask = async (names: string): Promise<string[]> =>
      kinds(await store.acquire({ ...leased, jobs: slots(names) }));
    expect(await ask('abc')).toEqual(['granted', 'granted', 'topic']);
    expect(await ask('ac')).toEqual(['granted', 'topic']);
    await store.release(TOPIC, slots('a'));
    expect(await ask('cd')).toEqual(['granted', 'topic']);
    await store.release(TOPIC, slots('bc'));
    // The store has forgotten a job that runs: it counts again before others are granted.
    const again = { ...leased, running: slots('b'), jobs: slots('de') };
    expect(kinds(await store.acquire(again))).toEqual(['granted', 'topic']);
  });

  test('a pace is shared by all that ask, and is not a job’s own', async () => {
    const store = await open();
    const limits = { topic: ONE_AN_HOUR, key: NONE };
    expect(kinds(await store.acquire({ ...request, limits, jobs: slots('ab') }))).toEqual([
      'granted',
      'topic',
    ]);
    const [later] = await store.acquire({ ...request, limits, jobs: slots('c') });
    expect(later).toMatchObject({ kind: 'topic', waitMs: expect.any(Number) });
    const elsewhere = { ...request, topic: 'elsewhere', limits, jobs: slots('a') };
    expect(kinds(await store.acquire(elsewhere))).toEqual(['granted']);
  });

  test('jobs over the limit of their key are put aside one behind the other, and others are granted', async () => {
    const store = await open();
    const limits = { topic: NONE, key: { perSecond: 1, running: 0 } };
    const jobs = [...slots('abc', 'busy'), ...slots('d', 'quiet')];
    const permits = await store.acquire({ ...request, limits, jobs });
    expect(kinds(permits)).toEqual(['granted', 'key', 'key', 'granted']);
    const waits = permits.flatMap((permit) => (permit.kind === 'granted' ? [] : [permit.waitMs]));
    expect((waits[1] ?? 0) - (waits[0] ?? 0)).toBeGreaterThan(900);
    const full = { topic: NONE, key: { perSecond: 0, running: 1 } };
    const running = { ...request, limits: full, leaseMs: 60_000 };
    const more = [...slots('ef', 'one'), ...slots('g', 'two')];
    expect(kinds(await store.acquire({ ...running, jobs: more }))).toEqual([
      'granted',
      'key',
      'granted',
    ]);
    await store.release(TOPIC, slots('e', 'one'));
    expect(kinds(await store.acquire({ ...running, jobs: slots('f', 'one') }))).toEqual([
      'granted',
    ]);
  });
}
