import { describe, expect, test } from '@jest/globals';
import { createFakeClock } from '@holdfast/foundation/testing';
import {
  type DistributedRateLimiterOptions,
  createDistributedRateLimiter,
} from '@holdfast/operations';
import { redisRateStore } from '@holdfast/operations/redis';
import { FakeRateServer } from './fake-rate-store.ts';

const SETTLED_MS = 700;

function limiterOf(more: Partial<DistributedRateLimiterOptions> = {}) {
  const clock = createFakeClock();
  const server = new FakeRateServer(clock);
  const limiter = createDistributedRateLimiter({
    store: server.connect(),
    clock,
    limit: 60,
    windowMs: 60_000,
    burst: 10,
    ...more,
  });
  const allowed = async (requests: number, key = 'a'): Promise<number> => {
    const outcomes = await Promise.all(
      Array.from({ length: requests }, () => limiter.consume(key)),
    );
    return outcomes.filter(({ kind }) => kind === 'allowed').length;
  };
  return { clock, server, limiter, allowed };
}

describe('with a store', () => {
  test('a burst is admitted at once, then the sustained rate, each key for itself', async () => {
    const { clock, allowed, limiter } = limiterOf();
    await clock.advance(SETTLED_MS + 10_000);
    expect(await allowed(30)).toBe(10);
    expect(await allowed(30, 'b')).toBe(10);
    expect(await limiter.consume('a')).toEqual({
      kind: 'limited',
      by: 'store',
      retryAfterMs: 1_000,
    });
    await clock.advance(3_000);
    expect(await allowed(30)).toBe(3);
  });

  test('a peak bounds what comes at once, and both limits hold together or neither is charged', async () => {
    const { clock, allowed, limiter } = limiterOf({ peak: { limit: 4, windowMs: 1_000 } });
    await clock.advance(SETTLED_MS + 10_000);
    expect(await allowed(30)).toBe(4);
    await clock.advance(500);
    expect(await allowed(30)).toBe(2);
    // What the peak has refused was not charged to the sustained rate: 4 of its burst of 10 are left.
    await clock.advance(1_000);
    expect(await allowed(30)).toBe(4);
    expect((await limiter.consume('a')).kind).toBe('limited');
  });

  test('under load the limit falls, to its floor and never to nothing', async () => {
    let load = 0;
    const { clock, allowed, limiter } = limiterOf({ load: () => load, floor: 0.1 });
    await clock.advance(SETTLED_MS + 10_000);
    load = 1;
    expect(await allowed(30)).toBe(1);
    await clock.advance(10_000);
    expect(await allowed(30)).toBe(1);
    expect(limiter.getStats().loadFactor).toBe(0.1);
    load = NaN;
    expect(limiter.getStats().loadFactor).toBe(1);
  });

  test('a rise of the load gives nothing back that was spent', async () => {
    let load = 0;
    const { clock, allowed } = limiterOf({
      load: () => load,
      floor: 0.1,
      peak: { limit: 60, windowMs: 1 },
    });
    await clock.advance(SETTLED_MS + 10_000);
    expect(await allowed(30)).toBe(10);
    load = 0.9;
    expect(await allowed(30)).toBe(0);
  });
});

describe('without a store', () => {
  test('an instance admits its share, and begins with nothing to spend', async () => {
    const { clock, server, allowed, limiter } = limiterOf({ instances: 5 });
    await clock.advance(SETTLED_MS + 10_000);
    expect(await allowed(30)).toBe(10);
    server.kill();
    expect(await allowed(30)).toBe(0);
    await clock.advance(60_000);
    expect(await allowed(30)).toBe(2);
    expect(await limiter.consume('a')).toMatchObject({ kind: 'limited', by: 'share' });
    expect(limiter.getStats()).toMatchObject({ isStoreUp: false, allowedByShare: 2 });
  });

  test('a frozen store is waited for once, by those who asked before it was known', async () => {
    const { clock, server, limiter } = limiterOf();
    await clock.advance(SETTLED_MS);
    server.freeze();
    const first = limiter.consume('a');
    const second = limiter.consume('b');
    await clock.advance(50);
    expect((await first).kind).toBe('limited');
    expect((await second).kind).toBe('limited');
    const beganMs = clock.now();
    for (let call = 0; call < 100; call += 1) await limiter.consume('c');
    expect(clock.now()).toBe(beganMs);
    expect(limiter.getStats().timeouts).toBe(1);
  });

  test('a store that is back is joined in the background, and counts once it has settled', async () => {
    const { clock, server, limiter } = limiterOf();
    await clock.advance(SETTLED_MS);
    server.kill();
    await limiter.consume('a');
    expect(limiter.getStats().isStoreUp).toBe(false);
    server.start('none');
    await clock.advance(500);
    expect(limiter.getStats().isStoreUp).toBe(true);
    await clock.advance(SETTLED_MS + 1_000);
    expect(await limiter.consume('a')).toMatchObject({ kind: 'allowed', by: 'store' });
  });

  test('on request nothing is admitted, and that is no refusal of the key', async () => {
    const { clock, server, limiter } = limiterOf({ whenStoreDown: 'refuse' });
    await clock.advance(SETTLED_MS);
    server.kill();
    expect(await limiter.consume('a')).toEqual({ kind: 'store-down', retryAfterMs: 500 });
  });

  test('keys that owe are never forgotten for others, and memory stays bounded', async () => {
    const { clock, server, limiter } = limiterOf({ maxKeys: 3 });
    await clock.advance(SETTLED_MS);
    server.kill();
    await limiter.consume('a');
    await clock.advance(60_000);
    const kindOf = async (key: string): Promise<string> => (await limiter.consume(key)).kind;
    for (const key of ['a', 'b', 'c']) expect(await kindOf(key)).toBe('allowed');
    expect(await kindOf('d')).toBe('limited');
    await clock.advance(1_000);
    expect(await kindOf('d')).toBe('allowed');
  });
});

test('what cannot be shared, and what is out of range, is refused by its name', async () => {
  expect(() => limiterOf({ instances: 50, burst: 10 })).toThrow('burst');
  expect(() => limiterOf({ floor: 0 })).toThrow('floor');
  expect(() => limiterOf({ limit: 0 })).toThrow('limit');
  const { limiter } = limiterOf();
  await expect(limiter.consume('')).rejects.toThrow('key');
  await expect(limiter.consume('a', { cost: 11 })).rejects.toThrow('cost');
  // @ts-expect-error: it is no client.
  expect(() => redisRateStore({ client: {}, namespace: 'api' })).toThrow('client');
});
