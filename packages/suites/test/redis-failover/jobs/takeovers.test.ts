import { expect, test } from '@jest/globals';
import { sleep, systemClock } from '@holdfast/foundation';
import { createRedisBackend } from '@holdfast/queue/contract';
import { AOF_NO_FSYNC, type RedisFixture, openRedisFixture } from '../../../src/redis-fixture.ts';
import { TOPIC } from '../../../src/outage.ts';
import { waitUntil } from '../../../src/wait-until.ts';

const LEASE_MS = 900;
/** The faults last longer than a lease. */
const OUTAGE_MS = 1_800;
const FREEZE_MS = 1_350;
const CONSUMERS = 3;
const POLL_MS = 10;
/** One consumer has free slots, which it would fill with the jobs of the others. */
const JOBS = 24;
const JOB_MS = 3_000;

/** Runs an outage while three consumers hold jobs; returns how often each job was started. */
async function runsOver(
  outage: (redis: RedisFixture['redis']) => Promise<void>,
): Promise<Map<unknown, number>> {
  const fixture = await openRedisFixture(AOF_NO_FSYNC);
  try {
    const producer = fixture.queue({ fallback: 'memory' });
    await producer.enqueueMany(
      TOPIC,
      Array.from({ length: JOBS }, (_, payload) => ({ payload })),
    );
    const runs = new Map<unknown, number>();
    for (let count = 0; count < CONSUMERS; count += 1) {
      const consumer = fixture.queue({ fallback: 'memory' });
      consumer.process(
        TOPIC,
        async ({ payload }) => {
          runs.set(payload, (runs.get(payload) ?? 0) + 1);
          await sleep(systemClock, JOB_MS);
        },
        { leaseMs: LEASE_MS },
      );
    }
    await waitUntil(() => runs.size === JOBS);
    await outage(fixture.redis);
    await fixture.untilHandled(TOPIC);
    return runs;
  } finally {
    await fixture.close();
  }
}

function doubled(runs: ReadonlyMap<unknown, number>): unknown[] {
  return [...runs].filter(([, times]) => times > 1);
}

test('a Redis that is down for longer than the lease of three consumers leads to no job being run twice', async () => {
  const runs = await runsOver(async (redis) => {
    await redis.kill();
    await sleep(systemClock, OUTAGE_MS);
    await redis.start();
  });
  expect(doubled(runs)).toEqual([]);
  expect(runs.size).toBe(JOBS);
});

test('a Redis that is frozen in turns, each longer than a lease, leads to no job being run twice', async () => {
  const runs = await runsOver(async (redis) => {
    for (let round = 0; round < 3; round += 1) {
      await redis.freeze();
      await sleep(systemClock, FREEZE_MS);
      await redis.thaw();
      await sleep(systemClock, LEASE_MS / 2);
    }
  });
  expect(doubled(runs)).toEqual([]);
  expect(runs.size).toBe(JOBS);
});

/** Runs a test on a backend, with one job that a consumer with the lease has taken and does not renew. */
async function withTaken(
  leaseMs: number,
  check: (backend: ReturnType<typeof createRedisBackend>, handle: string) => Promise<void>,
): Promise<void> {
  const fixture = await openRedisFixture({});
  const backend = createRedisBackend({ redis: fixture.server });
  const ignored = (): void => undefined;
  backend.open({ connected: ignored, attemptFailed: ignored, disconnected: ignored });
  try {
    const signal = new AbortController().signal;
    await backend.whenConnected(signal);
    const marks = { ownerEpoch: 1, originEpoch: 1, floor: 0, previous: 0 };
    const times = { enqueuedAtMs: 1, dueAtMs: 0 };
    const job = { sequence: 1, id: 'a', unique: false, ...times, payload: '1' };
    await backend.publish({ topic: TOPIC, producer: 'p', ...marks, jobs: [job] });
    const holder = backend.subscribe(TOPIC, leaseMs);
    await holder.whenConnected(signal);
    await holder.recover([], 1);
    let [taken] = await holder.fetch(1);
    while (taken === undefined) [taken] = await holder.fetch(1);
    await check(backend, taken.handle);
    await holder.close();
  } finally {
    await backend.close();
    await fixture.close();
  }
}

test('a consumer with a long lease does not let one with a short lease take jobs over too early', async () => {
  const leaseMs = 400;
  await withTaken(leaseMs, async (backend) => {
    const long = backend.subscribe(TOPIC, 900);
    const late = backend.subscribe(TOPIC, leaseMs);
    await late.whenConnected(new AbortController().signal);
    // Nobody with the short lease is heard of for two of them, as when their links are cut.
    for (let round = 0; round < 8; round += 1) {
      await long.recover([], 0);
      await sleep(systemClock, leaseMs / 4);
    }
    const backAtMs = systemClock.now();
    let taken = await late.recover([], 1);
    expect(taken.deliveries).toEqual([]);
    while (taken.deliveries.length === 0) {
      await sleep(systemClock, POLL_MS);
      taken = await late.recover([], 1);
    }
    expect(systemClock.now() - backAtMs).toBeGreaterThanOrEqual(leaseMs);
    await Promise.all([long.close(), late.close()]);
  });
});

test('a job belongs to its consumer for the lease of that one, whatever lease another has', async () => {
  const leaseMs = 1_500;
  const takenAtMs = systemClock.now();
  await withTaken(leaseMs, async (backend) => {
    const short = backend.subscribe(TOPIC, 100);
    await short.whenConnected(new AbortController().signal);
    let { deliveries } = await short.recover([], 1);
    while (deliveries.length === 0) {
      await sleep(systemClock, POLL_MS);
      ({ deliveries } = await short.recover([], 1));
    }
    expect(systemClock.now() - takenAtMs).toBeGreaterThanOrEqual(leaseMs);
    await short.close();
  });
});
