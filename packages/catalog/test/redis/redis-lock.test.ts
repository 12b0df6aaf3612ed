import { expect, test } from '@jest/globals';
import { createFakeClock } from '@holdfast/foundation/testing';
import { createRedisLock } from '../../src/redis.ts';
import { type Command, NEVER, scriptedRedis } from './scripted-redis.ts';

const TTL_MS = 30_000;

/** A server with one lock that is free, unless `answer` says something else. */
function openLock(answer: (kind: string) => unknown = () => undefined) {
  const clock = createFakeClock();
  const kinds: string[] = [];
  const kindOf = ([text]: Command): string =>
    /'(acquired|renewed|released)'/.exec(String(text))?.[1] ?? 'unknown';
  const redis = scriptedRedis((command) => {
    const kind = kindOf(command);
    kinds.push(kind);
    return answer(kind) ?? [kind, 7];
  });
  const lock = createRedisLock({ client: redis, clock, ttlMs: TTL_MS, timeoutMs: 2_000 });
  return { clock, redis, lock, kinds };
}

test('a lease is renewed at a third of its time, as long as it is held', async () => {
  const { clock, lock, kinds } = openLock();
  const lease = await lock.acquire();
  expect(lease.token).toBe(7);
  await clock.advance(9_999);
  expect(kinds).toStrictEqual(['acquired']);
  await clock.advance(1);
  expect(kinds).toStrictEqual(['acquired', 'renewed']);
  await clock.advance(300_000);
  expect(kinds).toHaveLength(32);
  expect(lease.signal.aborted).toBe(false);
  await lease.release();
  await lease.release();
  expect(kinds.at(-1)).toBe('released');
  expect(clock.pendingTimers).toBe(0);
});

test('a lease that cannot be renewed ends with its time, counted from before it was asked for', async () => {
  const answered = Promise.withResolvers<unknown>();
  const { clock, lock, kinds } = openLock((kind) =>
    kind === 'acquired' ? answered.promise : NEVER,
  );
  const acquiring = lock.acquire();
  await clock.advance(1_500);
  answered.resolve(['acquired', 1]);
  const lease = await acquiring;
  const { signal } = lease;
  await clock.advance(TTL_MS - 1_500 - 1);
  expect(signal.aborted).toBe(false);
  expect(kinds.filter((kind) => kind === 'renewed').length).toBeGreaterThan(3);
  await clock.advance(1);
  expect(signal.aborted).toBe(true);
  expect(signal.reason).toMatchObject({ code: 'CATALOG_LOCK_LOST' });
});

test('a lease whose renewals are refused goes on while another answer is possible', async () => {
  let refusals = 3;
  const { clock, lock } = openLock((kind) =>
    kind === 'renewed' && (refusals -= 1) >= 0 ? new Error('LOADING') : undefined,
  );
  const lease = await lock.acquire();
  await clock.advance(10 * TTL_MS);
  expect(lease.signal.aborted).toBe(false);
});

test('a step of the wall clock ends no lease, and keeps none', async () => {
  const { clock, lock } = openLock((kind) => (kind === 'renewed' ? NEVER : undefined));
  const lease = await lock.acquire();
  clock.stepWallClock(10 * TTL_MS);
  expect(lease.signal.aborted).toBe(false);
  clock.stepWallClock(-20 * TTL_MS);
  await clock.advance(TTL_MS);
  expect(lease.signal.aborted).toBe(true);
});

test('a signal that was taken long ago says that the lease is over although no timer could run', async () => {
  let nowMs = 0;
  const { clock } = openLock();
  // Its timers never fire, as in a process that is busy.
  const busy = { ...clock, now: () => nowMs, schedule: () => ({ cancel: () => undefined }) };
  const redis = scriptedRedis(() => ['acquired', 1]);
  const lease = await createRedisLock({ client: redis, clock: busy, ttlMs: TTL_MS }).acquire();
  const { signal } = lease;
  const heard: unknown[] = [];
  signal.addEventListener('abort', () => heard.push(signal.reason));
  nowMs = TTL_MS - 1;
  expect(signal.aborted).toBe(false);
  signal.throwIfAborted();
  nowMs = TTL_MS;
  expect(() => signal.throwIfAborted()).toThrow(
    expect.objectContaining({ code: 'CATALOG_LOCK_LOST' }),
  );
  expect(signal.aborted).toBe(true);
  expect(heard).toMatchObject([{ code: 'CATALOG_LOCK_LOST' }]);
  expect(AbortSignal.any([signal]).aborted).toBe(true);
});

test('a lock that is held says for how long', async () => {
  const { lock } = openLock(() => ['held', 1_234]);
  await expect(lock.acquire()).rejects.toMatchObject({
    code: 'CATALOG_LOCKED',
    retryAfterMs: 1_234,
  });
});

test('a lock that does not answer is given back until that is answered', async () => {
  let isAway = true;
  const { clock, redis, lock, kinds } = openLock(() => (isAway ? NEVER : undefined));
  const acquiring = lock.acquire();
  await expect(clock.settle(acquiring)).rejects.toMatchObject({
    code: 'CATALOG_LOCK_UNAVAILABLE',
    cause: { code: 'CATALOG_STORE', reason: 'timeout', outcome: 'unknown' },
  });
  expect(clock.now()).toBe(2_000);
  // What it had asked is not left behind for later.
  expect(redis.renewals).toBe(1);
  await clock.advance(10_000);
  expect(kinds.filter((kind) => kind === 'released').length).toBeGreaterThan(3);
  isAway = false;
  await clock.advance(5_000);
  const { length } = kinds;
  await clock.advance(60_000);
  expect(kinds).toHaveLength(length);
  expect(clock.pendingTimers).toBe(0);
});

test('an answer that is later than the lease gives no lease', async () => {
  const clock = createFakeClock();
  const answered = Promise.withResolvers<unknown>();
  const redis = scriptedRedis(([text]) =>
    String(text).includes("'acquired'") ? answered.promise : ['released'],
  );
  const lock = createRedisLock({ client: redis, clock, ttlMs: 1_000, timeoutMs: 60_000 });
  const acquiring = lock.acquire();
  await clock.advance(1_000);
  answered.resolve(['acquired', 1]);
  await expect(acquiring).rejects.toMatchObject({ code: 'CATALOG_LOCK_UNAVAILABLE' });
  await clock.advance(0);
  expect(String(redis.commands.at(-1)?.[0])).toContain("'released'");
});

test('without a connection nothing is asked, and nothing given back', async () => {
  const { clock, redis, lock, kinds } = openLock();
  redis.isUp = false;
  await expect(lock.acquire()).rejects.toMatchObject({ code: 'CATALOG_LOCK_UNAVAILABLE' });
  await clock.advance(60_000);
  expect(kinds).toStrictEqual([]);
});

test('an error that Redis answers with is told as it is, not as a silence', async () => {
  const { lock } = openLock(
    () => new Error("OOM command not allowed when used memory > 'maxmemory'."),
  );
  await expect(lock.acquire()).rejects.toMatchObject({
    code: 'CATALOG_LOCK_UNAVAILABLE',
    message: expect.stringMatching(/lock in redis cannot be had \(.*has no memory left/),
  });
});

test('a closed lock leaves no timer behind, and says at the next call that it is closed', async () => {
  const { clock, lock } = openLock();
  const { signal } = await lock.acquire();
  await lock.close();
  expect(signal.aborted).toBe(true);
  expect(clock.pendingTimers).toBe(0);
  await expect(lock.acquire()).rejects.toMatchObject({ code: 'CATALOG_LOCK_CLOSED' });
});
