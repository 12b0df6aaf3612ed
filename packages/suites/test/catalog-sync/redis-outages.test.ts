import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { CatalogStoreError } from '@holdfast/catalog';
import { createRedisGenerations } from '@holdfast/catalog/redis';
import { systemClock } from '@holdfast/foundation';
import { STAGE_OPEN_TIMEOUT_MS } from '@holdfast/stage';
import { Redis } from 'ioredis';
import {
  type RedisCatalog,
  catalogBundles,
  manifestFor,
  openRedisCatalog,
  publishGeneration,
} from '../../src/catalog/redis-catalog.ts';
import { readGeneration } from '../../src/catalog/read-generation.ts';
import { scenario } from '../../src/catalog/sync-scenario.ts';
import { waitUntil } from '../../src/wait-until.ts';

const TIMEOUT_MS = 200;
/** Far more than any call may take on a busy machine, far less than for ever. */
const GIVEN_UP_MS = 5_000;

let catalog: RedisCatalog;
beforeAll(async () => {
  catalog = await openRedisCatalog();
}, STAGE_OPEN_TIMEOUT_MS);
afterEach(() => catalog.reset());
afterAll(() => catalog.close());
const mode = (): RedisCatalog['mode'] => catalog.mode;

/** How long the call took to fail in this way. */
async function failsWith(
  reasons: readonly string[],
  call: () => Promise<unknown>,
): Promise<number> {
  const beganMs = systemClock.now();
  const error: unknown = await call().then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(CatalogStoreError);
  expect(reasons).toContain(error instanceof CatalogStoreError ? error.reason : undefined);
  const tookMs = systemClock.now() - beganMs;
  expect(tookMs).toBeLessThan(GIVEN_UP_MS);
  return tookMs;
}

scenario(
  mode,
  {
    promise:
      'with Redis frozen every call of the store ends in its time, and all go on when it thaws',
    fault: 'SIGSTOP',
  },
  async () => {
    const store = catalog.store({ timeoutMs: TIMEOUT_MS });
    await waitUntil(() =>
      publishGeneration(store, 1).then(
        () => true,
        () => false,
      ),
    );
    const reader = await store.open();
    const staged = await store.stage({ generation: 2, token: 2 });
    await catalog.redis.freeze();
    let longestMs = 0;
    try {
      for (const call of [
        () => store.current(),
        () => store.open(),
        () => store.stage({ generation: 2, token: 2 }),
        () => reader?.readRow(0) ?? Promise.resolve(),
        async () => {
          for (let part = 0; part < 3; part += 1) await staged.add(catalogBundles(100, 2));
        },
        () => staged.publish(manifestFor(2, 2, 300)),
      ]) {
        longestMs = Math.max(longestMs, await failsWith(['timeout', 'unreachable'], call));
      }
      await staged.discard();
    } finally {
      await catalog.redis.thaw();
    }
    const thawedMs = systemClock.now();
    await waitUntil(() =>
      publishGeneration(store, 2).then(
        () => true,
        () => false,
      ),
    );
    expect((await readGeneration(store)).bundles).toStrictEqual(catalogBundles(100, 2));
    return {
      recoveredAfterMs: systemClock.now() - thawedMs,
      note: `the longest call with a limit of ${TIMEOUT_MS} ms: ${Math.round(longestMs)} ms`,
    };
  },
);

scenario(
  mode,
  {
    promise:
      'with Redis killed every call of the store fails at once, and all go on when it is back',
    fault: 'SIGKILL, start',
  },
  async () => {
    const store = catalog.store();
    await publishGeneration(store, 1);
    const staged = await store.stage({ generation: 2, token: 2 });
    await staged.add(catalogBundles(100, 2));
    await catalog.redis.kill();
    let longestMs = 0;
    for (const call of [
      () => store.current(),
      () => store.stage({ generation: 3, token: 3 }),
      () => staged.add(catalogBundles(100, 2)).then(() => staged.add(catalogBundles(100, 2))),
    ]) {
      longestMs = Math.max(longestMs, await failsWith(['unreachable'], call));
    }
    await staged.discard();
    await catalog.redis.start();
    const startedMs = systemClock.now();
    // It has no persistence: all is gone.
    await waitUntil(() =>
      store.current().then(
        (manifest) => manifest === undefined,
        () => false,
      ),
    );
    await publishGeneration(store, 2);
    expect((await readGeneration(store)).generation).toBe(2);
    return {
      recoveredAfterMs: systemClock.now() - startedMs,
      note: `the longest call: ${Math.round(longestMs)} ms`,
    };
  },
);

test('a store that is opened while Redis is away fails in its time, and works as soon as it is there', async () => {
  await catalog.redis.kill();
  const store = catalog.store({ timeoutMs: TIMEOUT_MS });
  expect(await failsWith(['unreachable', 'timeout'], () => store.open())).toBeLessThan(GIVEN_UP_MS);
  await catalog.redis.start();
  await waitUntil(() =>
    store.open().then(
      () => true,
      () => false,
    ),
  );
});

test('a publication whose answer was lost says so, and can be repeated', async () => {
  const link = await catalog.link();
  const store = catalog.store({ url: `redis://${link.host}:${link.port}`, timeoutMs: 500 });
  // From now on Redis knows the script.
  await publishGeneration(store, 1);
  const staged = await store.stage({ generation: 2, token: 2 });
  await staged.add(catalogBundles(100, 2));
  const manifest = manifestFor(2, 2, 100);
  await expect(staged.publish(manifestFor(2, 2, 99))).rejects.toMatchObject({ reason: 'refused' });
  // The chunks have arrived, and so does the publication; its answer does not.
  link.faults.set('blackhole', { direction: 'toClient' });
  await expect(staged.publish(manifest)).rejects.toMatchObject({
    code: 'CATALOG_STORE',
    reason: 'timeout',
    outcome: 'unknown',
  });
  expect((await readGeneration(catalog.store())).generation).toBe(2);
  await link.heal();
  await waitUntil(() =>
    staged.publish(manifest).then(
      () => true,
      () => false,
    ),
  );
  await staged.discard();
  expect((await readGeneration(store)).bundles).toStrictEqual(catalogBundles(100, 2));
});

scenario(
  mode,
  {
    promise: 'a Redis without room for a generation is told before anything is written to it',
    fault: 'maxmemory just above what is used, noeviction',
  },
  async () => {
    const store = catalog.store({ reserveBytes: 4_000_000 });
    await publishGeneration(store, 1);
    const used = Number(/used_memory:(\d+)/.exec(await catalog.admin.info('memory'))?.[1]);
    await catalog.admin.config('SET', 'maxmemory', `${used + 2_000_000}`);
    const keys = await catalog.keys();
    await failsWith(['full'], () => store.stage({ generation: 2, token: 2 }));
    expect(await catalog.keys()).toStrictEqual(keys);
    expect((await readGeneration(store)).generation).toBe(1);
    await catalog.admin.config('SET', 'maxmemory', '0');
    await publishGeneration(store, 2);
    return { note: 'the generation before is served whole' };
  },
);

scenario(
  mode,
  {
    promise:
      'a Redis that runs out of memory while a generation is staged keeps the one before, and nothing of the new one',
    fault: 'maxmemory reached by the chunks (OOM), noeviction',
  },
  async () => {
    const store = catalog.store({ reserveBytes: 0 });
    await publishGeneration(store, 1);
    const staged = await store.stage({ generation: 2, token: 2 });
    const used = Number(/used_memory:(\d+)/.exec(await catalog.admin.info('memory'))?.[1]);
    await catalog.admin.config('SET', 'maxmemory', `${used + 200_000}`);
    await failsWith(['full'], async () => {
      for (let part = 0; part < 1_000; part += 1) await staged.add(catalogBundles(100, 2));
    });
    // Also a publication that finds no room for its pointer.
    await failsWith(['full'], () => staged.publish(manifestFor(2, 2, 100_000)));
    await staged.discard();
    expect(await catalog.keys('g:2:*')).toStrictEqual([]);
    expect((await readGeneration(store)).bundles).toStrictEqual(catalogBundles(100, 1));
    return { note: 'what was staged is removed without memory' };
  },
);

test('where Redis evicts, there is room unless a generation needs more than all of it', async () => {
  // With what is used it is more than there is.
  const store = catalog.store({ reserveBytes: 2_500_000 });
  const used = Number(/used_memory:(\d+)/.exec(await catalog.admin.info('memory'))?.[1]);
  await catalog.admin.config('SET', 'maxmemory-policy', 'volatile-lru');
  await catalog.admin.config('SET', 'maxmemory', `${used + 2_000_000}`);
  await publishGeneration(store, 1);
  const large = catalog.store({ reserveBytes: 300_000_000 });
  await failsWith(['full'], () => large.stage({ generation: 2, token: 2 }));
  expect((await store.current())?.generation).toBe(1);
});

test('a user of Redis without rights is told from one that is away', async () => {
  await catalog.admin.acl('SETUSER', 'guest', 'on', '>secret', '~*', '+@connection', '+info');
  const { host, port } = catalog.redis;
  const client = new Redis({
    host,
    port,
    username: 'guest',
    password: 'secret',
    lazyConnect: true,
  });
  const { prefix } = catalog;
  const store = createRedisGenerations({ client, prefix });
  const error: unknown = await store.current().catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ reason: 'unreachable' });
  expect(String(error)).toContain('refuses the user');
  expect(String(error)).not.toContain('secret');
  await store.close();
});

test('a call that is aborted ends at once with the reason of its signal', async () => {
  const store = catalog.store();
  await publishGeneration(store, 1);
  await catalog.redis.freeze();
  try {
    const controller = new AbortController();
    const calls = [store.current(controller), store.stage({ generation: 2, token: 2 }, controller)];
    const settled = Promise.allSettled(calls);
    controller.abort(new Error('enough'));
    expect(await settled).toMatchObject([
      { reason: { message: 'enough' } },
      { reason: { message: 'enough' } },
    ]);
    await expect(store.open({ signal: controller.signal })).rejects.toThrow('enough');
  } finally {
    await catalog.redis.thaw();
  }
});

test('a closed store ends what waits for Redis, and refuses what comes later', async () => {
  const store = catalog.store();
  await publishGeneration(store, 1);
  await catalog.redis.freeze();
  try {
    const waiting = store.current();
    const settled = Promise.allSettled([waiting]);
    await store.close();
    expect(await settled).toMatchObject([{ reason: { code: 'CATALOG_STORE', reason: 'closed' } }]);
    await failsWith(['closed'], () => store.current());
  } finally {
    await catalog.redis.thaw();
  }
});
