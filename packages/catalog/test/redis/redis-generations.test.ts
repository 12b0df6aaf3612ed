import { expect, test } from '@jest/globals';
import { createFakeClock } from '@holdfast/foundation/testing';
import type { Bundle } from '../../src/catalog.ts';
import {
  decodeRecord,
  encodeRecord,
  namesSum,
} from '../../src/generations/redis/published-record.ts';
import { createRedisGenerations, createRedisLock } from '../../src/redis.ts';
import { bundlesOf, manifestOf } from '../bundles.ts';
import { NEVER, scriptedRedis } from './scripted-redis.ts';

const record = {
  manifest: manifestOf(3, 7, 5),
  attempt: '7:5:abc',
  rowsPerChunk: 500,
  bytes: 1_234,
  sums: [1, 4_294_967_295],
};

test.each<[string, object]>([
  ['url', {}],
  ['url', { url: 'redis://a', client: scriptedRedis(() => null) }],
  ['url', { url: 'http://a' }],
  ['client', { client: {} }],
  ['prefix', { url: 'redis://a', prefix: 'a{b}' }],
  ['timeoutMs', { url: 'redis://a', timeoutMs: 0 }],
  ['ttlMs', { url: 'redis://a', ttlMs: 1 }],
])('a wrong %s is refused with its name', (field, options: object) => {
  for (const create of [createRedisGenerations, createRedisLock]) {
    expect(() => create(options)).toThrow(
      expect.objectContaining({ code: 'INVALID_OPTION', message: expect.stringContaining(field) }),
    );
  }
});

test('a password in a wrong URL is not told', () => {
  expect(() => createRedisGenerations({ url: 'rediss//:secret@host' })).toThrow(
    expect.objectContaining({ message: expect.not.stringContaining('secret') }),
  );
});

test('a pointer is read as it was written', () => {
  expect(decodeRecord(encodeRecord(record))).toStrictEqual(record);
});

test('a pointer with any character changed, missing or added is damaged', () => {
  const text = encodeRecord(record);
  for (let at = 0; at < text.length; at += 1) {
    for (const damaged of [
      text.slice(0, at),
      text.slice(0, at) + text.slice(at + 1),
      `${text.slice(0, at)}~${text.slice(at + 1)}`,
    ]) {
      expect(() => decodeRecord(damaged)).toThrow(
        expect.objectContaining({ code: 'CATALOG_STORE', reason: 'damaged' }),
      );
    }
  }
});

test('the sum of a chunk tells other bundles and another order, not another order of fields', () => {
  const bundles = bundlesOf(20);
  const sum = namesSum(bundles);
  expect(namesSum(bundles.toReversed())).not.toBe(sum);
  expect(namesSum(bundles.slice(1))).not.toBe(sum);
  const reordered: Bundle[] = [];
  for (const { price, name, ...rest } of bundles) {
    reordered.push(Object.assign(structuredClone(rest), { price, name }));
  }
  expect(namesSum(reordered)).toBe(sum);
});

test('a server that never answers fails every call in its time, and nothing waits in the old connection', async () => {
  const clock = createFakeClock();
  const redis = scriptedRedis(() => NEVER);
  const store = createRedisGenerations({ client: redis, clock, timeoutMs: 500 });
  for (const call of [
    (): Promise<unknown> => store.current(),
    (): Promise<unknown> => store.open(),
    (): Promise<unknown> => store.stage({ generation: 1, token: 1 }),
  ]) {
    const beganMs = clock.now();
    await expect(clock.settle(call())).rejects.toMatchObject({
      reason: 'timeout',
      outcome: 'not-applied',
    });
    expect(clock.now() - beganMs).toBe(500);
  }
  expect(redis.renewals).toBe(3);
  expect(clock.pendingTimers).toBe(0);
});

test.each<[string, string]>([
  ['OOM command not allowed', 'full'],
  ['NOPERM this user has no permissions', 'unreachable'],
  ['WRONGTYPE Operation against a key', 'refused'],
  ['LOADING Redis is loading', 'unreachable'],
])('an answer "%s" is told as %s', async (message, reason) => {
  const store = createRedisGenerations({ client: scriptedRedis(() => new Error(message)) });
  await expect(store.current()).rejects.toMatchObject({ code: 'CATALOG_STORE', reason });
});

test('at most two parts of a generation wait for Redis at a time', async () => {
  const answers: (() => void)[] = [];
  const redis = scriptedRedis(([first]) => {
    if (first !== 'hset') return first === 'set' ? 'OK' : ['staged'];
    return new Promise((resolve) => answers.push(() => resolve(1)));
  });
  const store = createRedisGenerations({ client: redis, rowsPerChunk: 10, pipelineBytes: 1 });
  const staged = await store.stage({ generation: 1, token: 1 });
  let isAdded = false;
  const adding = staged.add(bundlesOf(100)).then(() => (isAdded = true));
  const waits = async (parts: number): Promise<void> => {
    while (answers.length < parts) await new Promise((resolve) => setImmediate(resolve));
  };
  for (let parts = 1; parts <= 10; parts += 1) {
    await waits(parts);
    for (let turn = 0; turn < 20; turn += 1) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(answers).toHaveLength(parts);
    expect(isAdded).toBe(parts === 10);
    answers[parts - 1]?.();
  }
  await adding;
});

test('more bundles than a call has room for arguments are added at once', async () => {
  const redis = scriptedRedis(() => ['staged']);
  const store = createRedisGenerations({ client: redis, rowsPerChunk: 10_000 });
  const [bundle] = bundlesOf(1);
  if (bundle === undefined) throw new TypeError('no bundle');
  const staged = await store.stage({ generation: 1, token: 1 });
  await staged.add(Array.from({ length: 200_000 }, () => bundle));
  await expect(staged.publish(manifestOf(199_999, 1, 1))).rejects.toMatchObject({
    reason: 'refused',
    message: expect.stringContaining('with 200000'),
  });
});

test('a staging of which a part was refused is not published', async () => {
  const redis = scriptedRedis(([first]) => (first === 'set' ? new Error('OOM no') : ['staged']));
  const store = createRedisGenerations({ client: redis, rowsPerChunk: 10, pipelineBytes: 1 });
  const staged = await store.stage({ generation: 1, token: 1 });
  await expect(staged.add(bundlesOf(100))).rejects.toMatchObject({ reason: 'full' });
  await expect(staged.add(bundlesOf(10))).rejects.toMatchObject({ reason: 'full' });
  await expect(staged.publish(manifestOf(110, 1, 1))).rejects.toMatchObject({ reason: 'full' });
  await staged.discard();
});

test('a staging of which a part was aborted or cannot be stored is not published', async () => {
  const redis = scriptedRedis(() => ['staged']);
  const store = createRedisGenerations({ client: redis, rowsPerChunk: 10 });
  const signal = AbortSignal.abort(new Error('enough'));
  const staged = await store.stage({ generation: 1, token: 1 });
  await expect(staged.add(bundlesOf(10), { signal })).rejects.toThrow('enough');
  await expect(staged.publish(manifestOf(10, 1, 1))).rejects.toThrow('enough');
  const other = await store.stage({ generation: 1, token: 1 });
  const [first, ...rest] = bundlesOf(10);
  if (first === undefined) throw new TypeError('no bundle');
  const wrong = [...rest, { ...first, price: NaN }];
  await expect(other.add(wrong)).rejects.toMatchObject({ code: 'CATALOG_DOCUMENT_INVALID' });
  await expect(other.publish(manifestOf(10, 1, 1))).rejects.toMatchObject({
    code: 'CATALOG_DOCUMENT_INVALID',
  });
});
