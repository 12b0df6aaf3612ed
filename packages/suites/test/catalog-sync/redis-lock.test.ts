import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { systemClock } from '@holdfast/foundation';
import { STAGE_OPEN_TIMEOUT_MS } from '@holdfast/stage';
import { type RedisCatalog, openRedisCatalog } from '../../src/catalog/redis-catalog.ts';
import { scenario } from '../../src/catalog/sync-scenario.ts';
import { waitUntil } from '../../src/wait-until.ts';

let catalog: RedisCatalog;
beforeAll(async () => {
  catalog = await openRedisCatalog();
}, STAGE_OPEN_TIMEOUT_MS);
afterEach(() => catalog.reset());
afterAll(() => catalog.close());
const mode = (): RedisCatalog['mode'] => catalog.mode;
const isHeld = async (): Promise<boolean> => (await catalog.keys('lock')).length === 1;

test('one of fifty processes gets the lock, and the others are told for how long', async () => {
  const locks = Array.from({ length: 50 }, () => catalog.lock({ ttlMs: 5_000 }));
  const results = await Promise.allSettled(locks.map((lock) => lock.acquire()));
  const leases = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
  expect(leases).toHaveLength(1);
  for (const result of results) {
    if (result.status === 'fulfilled') continue;
    const reason: { code?: string; retryAfterMs?: number } = result.reason;
    expect(reason.code).toBe('CATALOG_LOCKED');
    expect(reason.retryAfterMs).toBeGreaterThan(0);
    expect(reason.retryAfterMs).toBeLessThanOrEqual(5_000);
  }
  await leases[0]?.release();
  expect(await isHeld()).toBe(false);
});

test('each token is higher than the one before, than what was published, and than what is lost', async () => {
  const lock = catalog.lock();
  const tokens: number[] = [];
  for (const above of [0, 0, 40, 7]) {
    const lease = await lock.acquire({ above });
    tokens.push(lease.token);
    await lease.release();
    expect(lease.signal.aborted).toBe(true);
  }
  expect(tokens).toStrictEqual([1, 2, 41, 42]);
  await catalog.admin.flushall();
  const lease = await lock.acquire({ above: 42 });
  expect(lease.token).toBe(43);
});

test('a lease that is renewed outlives its time, and a lock of another is never released', async () => {
  const lock = catalog.lock({ ttlMs: 1_000 });
  const lease = await lock.acquire();
  const acquiredMs = systemClock.now();
  await waitUntil(() => systemClock.now() - acquiredMs > 1_500);
  expect(lease.signal.aborted).toBe(false);
  expect(await isHeld()).toBe(true);
  // As if it had expired, and another had taken it.
  await catalog.admin.set(`{${catalog.prefix}}:lock`, 'another', 'PX', 60_000);
  await waitUntil(() => lease.signal.aborted);
  expect(lease.signal.reason).toMatchObject({ code: 'CATALOG_LOCK_LOST' });
  await lease.release();
  expect(await isHeld()).toBe(true);
});

scenario(
  mode,
  {
    promise:
      'a lease ends for its holder no later than for the others, also while the process is busy',
    fault: 'the event loop blocked, and Redis frozen, for longer than the lease',
  },
  async () => {
    const lock = catalog.lock({ ttlMs: 300 });
    const blocked = await lock.acquire();
    const { signal } = blocked;
    const untilMs = systemClock.now() + 500;
    while (systemClock.now() < untilMs);
    // No timer has run.
    expect(signal.aborted).toBe(true);
    expect(() => signal.throwIfAborted()).toThrow(
      expect.objectContaining({ code: 'CATALOG_LOCK_LOST' }),
    );
    const other = catalog.lock({ ttlMs: 300 });
    const frozen = await other.acquire();
    const acquiredMs = systemClock.now();
    await catalog.redis.freeze();
    let endedAfterMs = 0;
    try {
      await new Promise<void>((resolve) => {
        frozen.signal.addEventListener('abort', () => resolve());
      });
      endedAfterMs = systemClock.now() - acquiredMs;
    } finally {
      await catalog.redis.thaw();
    }
    const next = catalog.lock({ ttlMs: 60_000 });
    // Also when a renewal was on its way.
    await waitUntil(() =>
      next.acquire().then(
        () => true,
        () => false,
      ),
    );
    expect(await catalog.admin.get(`{${catalog.prefix}}:lock:token`)).toBe(`${frozen.token + 1}`);
    return { note: `a lease of 300 ms ended ${Math.round(endedAfterMs)} ms after it was had` };
  },
);

scenario(
  mode,
  {
    promise: 'a lock whose answer was lost is given back, and does not keep the others waiting',
    fault: 'the answers of Redis held back while the lock is taken',
  },
  async () => {
    const link = await catalog.link();
    const url = `redis://${link.host}:${link.port}`;
    const lock = catalog.lock({ url, timeoutMs: 300, ttlMs: 600_000 });
    await (await lock.acquire()).release();
    link.faults.set('blackhole', { direction: 'toClient' });
    await expect(lock.acquire()).rejects.toMatchObject({ code: 'CATALOG_LOCK_UNAVAILABLE' });
    expect(await isHeld()).toBe(true);
    await link.heal();
    const healedMs = systemClock.now();
    await waitUntil(async () => !(await isHeld()));
    const lease = await catalog.lock().acquire();
    expect(lease.token).toBe(3);
    return { recoveredAfterMs: systemClock.now() - healedMs };
  },
);

test('a lock that was taken for a caller who had left is given back', async () => {
  const lock = catalog.lock({ ttlMs: 600_000 });
  await (await lock.acquire()).release();
  await catalog.redis.freeze();
  const acquiring = lock.acquire({ signal: AbortSignal.timeout(50) });
  await expect(acquiring).rejects.toMatchObject({ name: 'TimeoutError' });
  await catalog.redis.thaw();
  await waitUntil(async () => (await catalog.admin.get(`{${catalog.prefix}}:lock:token`)) === '2');
  await waitUntil(async () => !(await isHeld()));
});

test('without Redis nobody has the lock, and nobody waits for it', async () => {
  const lock = catalog.lock();
  const lease = await lock.acquire();
  await catalog.redis.kill();
  await expect(lock.acquire()).rejects.toMatchObject({ code: 'CATALOG_LOCK_UNAVAILABLE' });
  await lease.release();
  await catalog.redis.start();
  await waitUntil(() =>
    lock.acquire().then(
      () => true,
      () => false,
    ),
  );
});

test('a closed lock gives back what it holds', async () => {
  const lock = catalog.lock();
  const lease = await lock.acquire();
  await lock.close();
  expect(lease.signal.aborted).toBe(true);
  expect(await isHeld()).toBe(false);
  await expect(lock.acquire()).rejects.toMatchObject({ code: 'CATALOG_LOCK_CLOSED' });
});

test('a lock that somebody has left without an end has one', async () => {
  await catalog.admin.set(`{${catalog.prefix}}:lock`, 'by hand');
  const lock = catalog.lock({ ttlMs: 200 });
  await expect(lock.acquire()).rejects.toMatchObject({ code: 'CATALOG_LOCKED' });
  await waitUntil(() =>
    lock.acquire().then(
      () => true,
      () => false,
    ),
  );
  expect(await catalog.admin.get(`{${catalog.prefix}}:lock:token`)).toBe('1');
});
