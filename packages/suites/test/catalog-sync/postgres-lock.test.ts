import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { createPostgresLock } from '@holdfast/catalog/postgres';
import { createDatabase } from '@holdfast/database';
import { systemClock } from '@holdfast/foundation';
import { STAGE_OPEN_TIMEOUT_MS } from '@holdfast/stage';
import { type PostgresCatalog, openPostgresCatalog } from '../../src/catalog/postgres-catalog.ts';
import { waitUntil } from '../../src/wait-until.ts';

let catalog: PostgresCatalog;
beforeAll(async () => {
  catalog = await openPostgresCatalog();
}, STAGE_OPEN_TIMEOUT_MS);
afterEach(async () => {
  if (catalog.primary.state === 'frozen') await catalog.primary.thaw();
  if (catalog.primary.state !== 'running') await catalog.primary.start();
  await catalog.reset();
});
afterAll(() => catalog.close());

const LOCKED = { code: 'CATALOG_LOCKED', retryable: true };
const UNAVAILABLE = { code: 'CATALOG_LOCK_UNAVAILABLE' };
const lost = (signal: AbortSignal): Promise<void> => waitUntil(() => signal.aborted, 20_000);

test('one of two has the lock, and each next token is higher', async () => {
  const [first, second] = [catalog.lock(), catalog.lock()];
  const lease = await first.acquire();
  await expect(second.acquire()).rejects.toMatchObject(LOCKED);
  await lease.release();
  await lease.release();
  expect(lease.signal.aborted).toBe(false);
  const next = await second.acquire();
  expect(next.token).toBeGreaterThan(lease.token);
  await expect(first.acquire()).rejects.toMatchObject(LOCKED);
  await next.release();
});

test('a token is above every one that was seen in a publication', async () => {
  const lock = catalog.lock();
  const first = await lock.acquire({ above: 41 });
  expect(first.token).toBe(42);
  await first.release();
  const next = await lock.acquire({ above: 7 });
  expect(next.token).toBe(43);
  await next.release();
});

test('a lease that is proven outlives its time', async () => {
  const lease = await catalog.lock({ leaseMs: 1_000 }).acquire();
  const beganMs = systemClock.now();
  await waitUntil(() => lease.signal.aborted || systemClock.now() - beganMs > 2_000);
  expect(lease.signal.aborted).toBe(false);
  await expect(catalog.lock().acquire()).rejects.toMatchObject(LOCKED);
});

test('a lease whose session is ended by the server is lost, and another takes the lock', async () => {
  const lease = await catalog.lock({ leaseMs: 600 }).acquire();
  await catalog.ask(
    `select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and granted`,
  );
  await lost(lease.signal);
  expect(lease.signal.reason).toMatchObject({ code: 'CATALOG_LOCK_LOST' });
  const next = await catalog.lock().acquire();
  expect(next.token).toBeGreaterThan(lease.token);
});

test.each(['kill', 'freeze'] as const)(
  'a lease ends in its time when its Postgres suffers a %s',
  async (fault) => {
    const lease = await catalog.lock({ leaseMs: 900 }).acquire();
    const lock = catalog.lock({ timeoutMs: 300 });
    await catalog.primary[fault]();
    await lost(lease.signal);
    expect(lease.signal.reason).toMatchObject({ code: 'CATALOG_LOCK_LOST' });
    await expect(lock.acquire()).rejects.toMatchObject(UNAVAILABLE);
    if (fault === 'kill') await catalog.primary.start();
    else await catalog.primary.thaw();
    const after = catalog.lock();
    let token = 0;
    await waitUntil(async () => {
      const next = await after.acquire().catch(() => undefined);
      token = next?.token ?? 0;
      return next !== undefined;
    });
    expect(token).toBeGreaterThan(lease.token);
  },
);

test('a holder that is cut off from the server loses the lock, which the server gives to another', async () => {
  const { proxy, url } = await catalog.proxy();
  const lease = await catalog.lock({ url, leaseMs: 600 }).acquire();
  proxy.faults.set('blackhole');
  await lost(lease.signal);
  const other = catalog.lock();
  let isTaken = false;
  await waitUntil(async () => {
    const next = await other.acquire().catch(() => undefined);
    isTaken = next !== undefined && next.token > lease.token;
    return isTaken;
  }, 20_000);
  expect(isTaken).toBe(true);
});

test('a lock of the connections of others leaves them open, and nothing of it on them', async () => {
  const database = createDatabase({ hosts: catalog.primary.url, max: 1 });
  try {
    const lock = createPostgresLock({ database, prefix: catalog.prefix });
    const lease = await lock.acquire();
    await lease.release();
    await lock.close();
    const { rows } = await database.query('show idle_session_timeout');
    expect(rows).toStrictEqual([{ idle_session_timeout: '0' }]);
  } finally {
    await database.close();
  }
});

test('an abort ends the acquisition with its reason, and the lock is free', async () => {
  const reason = new Error('the sync ends');
  const lock = catalog.lock();
  await expect(lock.acquire({ signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  const lease = await lock.acquire();
  await lock.close();
  const next = await catalog.lock().acquire();
  expect(next.token).toBeGreaterThan(lease.token);
});
