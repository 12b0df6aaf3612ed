import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { RedisUnavailableError, createTieredCache } from '@holdfast/cache/redis';
import { nextEvent, systemClock } from '@holdfast/foundation';
import { record } from '@holdfast/report';
import { STAGE_OPEN_TIMEOUT_MS } from '@holdfast/stage';
import { Redis } from 'ioredis';
import { inspect } from 'node:util';
import {
  GIVEN_UP_MS,
  PATIENT,
  type CacheServer,
  openCacheServer,
  timed,
  untilConnected,
  untilLost,
} from '../../src/cache/fleet.ts';
import { watchPace } from '../../src/host-pace.ts';
import { waitUntil } from '../../src/wait-until.ts';

/** Twice the 150 ms that the README promises; below, twice its 5 ms. */
const COLD_WHILE_FROZEN_MS = 300;
const COLD_WHILE_DEAD_MS = 10;
/** How long a command may wait for Redis; a tenth of it is late. */
const LONG_MS = 10_000;
/** As it is by default. */
const HASTY = { redis: { timeoutMs: 100 } };
const FAMILY = 'network-failures';

let server: CacheServer;
beforeAll(async () => {
  server = await openCacheServer(PATIENT);
}, STAGE_OPEN_TIMEOUT_MS);
afterEach(() => server.empty());
afterAll(() => server.close());

/** What half of some calls take at most, as it would be on a machine that is not busy. */
async function typical(count: number, call: (at: number) => Promise<unknown>): Promise<number> {
  const pace = watchPace();
  const times: number[] = [];
  for (let at = 0; at < count; at += 1) times.push((await timed(() => call(at))).tookMs);
  return (times.toSorted((left, right) => left - right)[count >> 1] ?? 0) / pace.stop();
}

function note(promise: string, fault: string, measured: string): void {
  record({ family: FAMILY, scenario: promise, fault, stage: server.mode, note: measured });
}

test('with Redis frozen, a cold key is answered by the source in 150 ms, and at once when that is known', async () => {
  const [{ cache }] = await server.pair(HASTY);
  await cache.set('warm', 'warm');
  await server.redis.freeze();
  try {
    const first = await typical(1, () => cache.getOrLoad('cold', () => 'value'));
    expect(first).toBeLessThan(COLD_WHILE_FROZEN_MS);
    expect((await cache.getOrLoad('warm', () => 'other')).value).toBe('warm');
    await Promise.all(
      Array.from({ length: 5 }, (_, at) => cache.getOrLoad(`cold-${at}`, () => 'value')),
    );
    await waitUntil(async () => {
      await cache.get('absent');
      return !cache.getStats().redis.isConnected;
    });
    const later = await typical(20, (at) => cache.getOrLoad(`later-${at}`, () => 'value'));
    expect(later).toBeLessThan(COLD_WHILE_DEAD_MS);
    const changes = await typical(20, (at) => cache.set(`set-${at}`, 'value'));
    expect(changes).toBeLessThan(COLD_WHILE_DEAD_MS);
    note(
      'with Redis frozen, a cold key is answered by the source in 150 ms, and at once when that is known',
      'SIGSTOP',
      `first ${Math.round(first)} ms, then ${later.toFixed(1)} ms`,
    );
  } finally {
    await server.redis.thaw();
  }
  await waitUntil(() => cache.getStats().redis.pending === 0);
});

test('a read that Redis leaves waiting asks the source long before its time is over, and those after it at once', async () => {
  const [{ cache }] = await server.pair({ redis: { timeoutMs: LONG_MS, leaseMs: 60_000 } });
  await server.redis.freeze();
  try {
    const first = await typical(1, () => cache.getOrLoad('first', () => 'value'));
    expect(first).toBeLessThan(LONG_MS / 2);
    const later = await typical(20, (at) => cache.getOrLoad(`later-${at}`, () => 'value'));
    expect(later).toBeLessThan(COLD_WHILE_DEAD_MS);
  } finally {
    await server.redis.thaw();
  }
  await waitUntil(async () => {
    await cache.get(`asked-${systemClock.now()}`);
    return cache.getStats().redis.misses > 0;
  });
  expect(cache.getStats().redis).toMatchObject({ isConnected: true, timeouts: 0 });
});

test('with Redis dead, a cold key is answered by the source in 5 ms, and changes take effect in memory', async () => {
  const [first, second] = await server.pair(HASTY);
  await first.cache.set('key', 'old');
  await second.cache.get('key');
  await server.redis.kill();
  await untilLost([first, second]);
  const cold = await typical(20, (at) => first.cache.getOrLoad(`cold-${at}`, () => 'value'));
  expect(cold).toBeLessThan(COLD_WHILE_DEAD_MS);
  const { value: deleted, tookMs } = await timed(() => first.cache.delete('key'));
  expect(deleted).toStrictEqual({ memory: true, redis: 'queued' });
  expect(tookMs).toBeLessThan(COLD_WHILE_FROZEN_MS);
  expect(first.cache.peek('key')).toBeUndefined();
  expect(await first.cache.set('other', 'new')).toMatchObject({
    memory: 'stored',
    redis: 'queued',
  });
  expect(await first.cache.invalidateTag('tag')).toStrictEqual({ redis: 'queued' });
  expect(first.cache.getStats().redis.pending).toBe(3);
  await server.redis.start();
  await untilConnected([first, second]);
  await waitUntil(() => first.cache.getStats().redis.pending === 0);
});

test('a process that starts while Redis is away is answered by the source, and joins the others later', async () => {
  const alone = new Redis({ port: 1, lazyConnect: true });
  const away = createTieredCache<string>({ redis: { client: alone, namespace: 'away' } });
  const { value, tookMs } = await timed(() => away.getOrLoad('key', () => 'value'));
  expect(value).toMatchObject({ value: 'value', from: 'source' });
  expect(tookMs).toBeLessThan(1_000);
  expect((await away.getOrLoad('key', () => 'other')).value).toBe('value');
  await away.close();
  await expect(away.getOrLoad('key', () => 'value')).rejects.toMatchObject({
    code: 'CACHE_CLOSED',
  });
});

test('a process that starts while Redis is away is connected once it is there, and what it had loaded is dropped', async () => {
  await server.redis.kill();
  const { host, port } = server.redis;
  const client = new Redis({ host, port, lazyConnect: true });
  const cache = createTieredCache<string>({ redis: { client, namespace: 'early' } });
  expect((await cache.getOrLoad('key', () => 'value')).from).toBe('source');
  expect(cache.peek('key')?.value).toBe('value');
  await server.redis.start();
  await waitUntil(() => cache.getStats().redis.isConnected);
  // Nobody has told it meanwhile what has changed.
  expect(cache.peek('key')).toBeUndefined();
  expect(await cache.set('key', 'value')).toMatchObject({ redis: 'stored' });
  await cache.close();
});

test('a process that has never reached Redis says so, once, and why', async () => {
  const alone = new Redis({ port: 1, lazyConnect: true });
  const cache = createTieredCache<string>({ redis: { client: alone, namespace: 'never' } });
  const reasons: unknown[] = [];
  cache.on('redis-lost', ({ error }) => reasons.push(error));
  await waitUntil(() => reasons.length > 0);
  expect(reasons[0]).toBeInstanceOf(RedisUnavailableError);
  expect(reasons[0]).toMatchObject({ code: 'CACHE_REDIS_UNAVAILABLE', retryable: true });
  expect(await cache.delete('key')).toMatchObject({ redis: 'queued' });
  await cache.close();
  expect(reasons).toHaveLength(1);
});

test('a wrong password is told as the reason', async () => {
  await server.admin.acl('SETUSER', 'locked', 'on', '>right', '~*', '+@all');
  const { host, port } = server.redis;
  const wrong = { host, port, username: 'locked', password: 'wrong', lazyConnect: true };
  const cache = createTieredCache<string>({
    redis: { client: new Redis(wrong), namespace: 'locked' },
  });
  const { error } = await nextEvent(cache, 'redis-lost', {
    signal: AbortSignal.timeout(GIVEN_UP_MS),
  });
  expect((await cache.getOrLoad('key', () => 'value')).value).toBe('value');
  await cache.close();
  expect(inspect(error)).toMatch(/WRONGPASS|NOAUTH/);
  await server.admin.acl('DELUSER', 'locked');
});
