import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import type { TieredCache } from '@holdfast/cache/redis';
import { systemClock } from '@holdfast/foundation';
import { record } from '@holdfast/report';
import { STAGE_OPEN_TIMEOUT_MS } from '@holdfast/stage';
import { type CacheServer, openCacheServer, untilConnected } from '../../src/cache/fleet.ts';
import { waitUntil } from '../../src/wait-until.ts';

/** How long Redis is frozen, and writes wait in its sockets. */
const FROZEN_MS = 1_500;
const GIVEN_UP_MS = 15_000;
const FAMILY = 'network-failures';
const KEYS = ['a', 'b', 'c'];

let server: CacheServer;
beforeAll(async () => {
  server = await openCacheServer();
}, STAGE_OPEN_TIMEOUT_MS);
afterEach(() => server.empty());
afterAll(() => server.close());

/** Freezes Redis while the loads of the keys end, each with its time, and thaws it. */
async function loadWhileFrozen(cache: TieredCache<number>): Promise<void> {
  // Redis has the script from now on.
  await cache.set('first', 0);
  const ending = Promise.withResolvers<void>();
  let begun = 0;
  const loads = KEYS.map((key) =>
    cache.getOrLoad(key, async () => {
      begun += 1;
      await ending.promise;
      return systemClock.now();
    }),
  );
  await waitUntil(() => begun === KEYS.length);
  await server.redis.freeze();
  try {
    ending.resolve();
    await Promise.all(loads);
    const frozenMs = systemClock.now();
    await waitUntil(() => systemClock.now() - frozenMs >= FROZEN_MS);
  } finally {
    await server.redis.thaw();
  }
}

test('what was loaded before Redis was frozen has its true age in other processes after it', async () => {
  const [writer, reader] = await server.pair<number>({ ttlMs: 60_000 });
  await loadWhileFrozen(writer.cache);
  await untilConnected([reader]);
  let least = Infinity;
  for (const key of KEYS) {
    let found = await reader.cache.get(key);
    await waitUntil(async () => (found ??= await reader.cache.get(key)) !== undefined, GIVEN_UP_MS);
    const trueMs = systemClock.now() - (found?.value ?? 0);
    expect(found).toMatchObject({ from: 'redis', isStale: false });
    expect(found?.ageMs).toBeGreaterThanOrEqual(FROZEN_MS);
    expect(found?.ageMs).toBeLessThan(trueMs + 1_000);
    least = Math.min(least, found?.ageMs ?? 0);
  }
  const scenario =
    'what was loaded before Redis was frozen has its true age in other processes after it';
  const note = `frozen for ${FROZEN_MS} ms, ages from ${Math.round(least)} ms`;
  record({ family: FAMILY, scenario, fault: 'SIGSTOP', stage: server.mode, note });
});

test('what is over its TTL when a frozen Redis executes its write is marked stale', async () => {
  const [writer, reader] = await server.pair<number>({ ttlMs: FROZEN_MS / 2 });
  await loadWhileFrozen(writer.cache);
  await untilConnected([reader]);
  let found = await reader.cache.get('a');
  await waitUntil(async () => (found ??= await reader.cache.get('a')) !== undefined, GIVEN_UP_MS);
  expect(found).toMatchObject({ from: 'redis', isStale: true });
});

test('what is over all its time when a frozen Redis executes its write is not stored, nor is what it replaces kept', async () => {
  const [writer, reader] = await server.pair<number>({ ttlMs: FROZEN_MS / 2, staleMs: 0 });
  await loadWhileFrozen(writer.cache);
  await untilConnected([writer, reader]);
  for (const key of KEYS) expect(await reader.cache.get(key)).toBeUndefined();
  const [stored = ''] = await server.admin.keys('*:entry:=a');
  // The mark of a deletion.
  expect(await server.admin.get(stored)).toMatch(/^\d+-\d+\n$/);
  expect((await reader.cache.getOrLoad('a', () => -1)).value).toBe(-1);
});
