import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { sleep, systemClock } from '@holdfast/foundation';
import { STAGE_OPEN_TIMEOUT_MS } from '@holdfast/stage';
import { PATIENT, type CacheServer, openCacheServer } from '../../src/cache/fleet.ts';
import { waitUntil } from '../../src/wait-until.ts';

/** How long the source takes, and times after which something is over. */
const LOAD_MS = 50;
const TWO_TURNS_MS = 1_200;
const OVER_TTL_MS = 150;
const OVER_NEGATIVE_MS = 350;

let server: CacheServer;
beforeAll(async () => {
  server = await openCacheServer(PATIENT);
}, STAGE_OPEN_TIMEOUT_MS);
afterEach(() => server.empty());
afterAll(() => server.close());

test('250 callers of a cold key in each of four caches are one call of the source', async () => {
  const nodes = await server.open(4, {
    redis: { timeoutMs: 10_000, turnMs: 10_000, leaseMs: 10_000 },
  });
  let calls = 0;
  const load = async (): Promise<string> => {
    calls += 1;
    await sleep(systemClock, LOAD_MS);
    return 'value';
  };
  const answers = await Promise.all(
    nodes.flatMap(({ cache }) => Array.from({ length: 250 }, () => cache.getOrLoad('key', load))),
  );
  expect(new Set(answers.map(({ value }) => value))).toStrictEqual(new Set(['value']));
  expect(calls).toBe(1);
});

test('a holder that dies is followed at the end of its turn by one of those who wait', async () => {
  const [dying, ...others] = await server.open(3, { redis: { turnMs: 500 } });
  let calls = 0;
  const hanging = dying?.cache.getOrLoad('key', () => {
    calls += 1;
    return new Promise<string>(() => undefined);
  });
  hanging?.catch(() => undefined);
  await waitUntil(() => calls === 1);
  const waiting = others.map(({ cache }) =>
    cache.getOrLoad('key', () => {
      calls += 1;
      return 'value';
    }),
  );
  // Its turn is extended for as long as it lives.
  await sleep(systemClock, TWO_TURNS_MS);
  expect(calls).toBe(1);
  await dying?.cache.close();
  for (const answer of await Promise.all(waiting)) expect(answer.value).toBe('value');
  expect(calls).toBe(2);
});

test('the answer to a turn that has passed to another is discarded', async () => {
  const [stalled, follower] = await server.open(2, { redis: { turnMs: 300 } });
  const late = Promise.withResolvers<string>();
  const first = stalled?.cache.getOrLoad('key', () => late.promise);
  await waitUntil(() => stalled?.cache.getStats().loads === 1);
  // It cannot extend its turn.
  stalled?.link.faults.set('blackhole');
  const second = await follower?.cache.getOrLoad('key', () => 'newer');
  expect(second).toMatchObject({ value: 'newer', from: 'source' });
  await stalled?.link.heal();
  late.resolve('older');
  expect((await first)?.value).toBe('older');
  await waitUntil(() => stalled?.cache.getStats().redis.isConnected === true);
  await waitUntil(async () => (await stalled?.cache.get('key'))?.value === 'newer');
  expect((await follower?.cache.get('key'))?.value).toBe('newer');
});

test('a stale entry is refreshed by one process of the fleet, while all serve it', async () => {
  const nodes = await server.open(4, { ttlMs: 100, earlyRefresh: 0, memory: { ttlJitter: 0 } });
  let calls = 0;
  const load = async (): Promise<string> => {
    calls += 1;
    await sleep(systemClock, LOAD_MS);
    return `value ${calls}`;
  };
  for (const { cache } of nodes) await cache.getOrLoad('key', load);
  expect(calls).toBe(1);
  await sleep(systemClock, OVER_TTL_MS);
  const stale = await Promise.all(nodes.map(({ cache }) => cache.getOrLoad('key', load)));
  for (const answer of stale) expect(answer).toMatchObject({ value: 'value 1', isStale: true });
  await waitUntil(async () =>
    nodes.every(
      ({ cache }) => cache.peek('key')?.value === 'value 2' || cache.peek('key') === undefined,
    ),
  );
  expect(calls).toBe(2);
});

test('a source that has nothing is asked once by the fleet, and again after negativeMs', async () => {
  const nodes = await server.open<string | undefined>(3, {
    negativeMs: 300,
    memory: { ttlJitter: 0 },
  });
  let calls = 0;
  const load = (): undefined => {
    calls += 1;
  };
  const ask = async (): Promise<unknown[]> => {
    const values: unknown[] = [];
    for (const { cache } of nodes) {
      values.push((await cache.getOrLoad('key', load)).value);
    }
    return values;
  };
  expect(await ask()).toStrictEqual([undefined, undefined, undefined]);
  expect(calls).toBe(1);
  await sleep(systemClock, OVER_NEGATIVE_MS);
  await ask();
  expect(calls).toBe(2);
});

test('a failing source rejects each process once, and the next of them may ask', async () => {
  const nodes = await server.open(3, { negativeMs: 60_000 });
  let calls = 0;
  const load = (): never => {
    calls += 1;
    throw new Error('the source is down');
  };
  const ask = (): Promise<PromiseSettledResult<unknown>[]> =>
    Promise.allSettled(
      nodes.flatMap(({ cache }) => Array.from({ length: 20 }, () => cache.getOrLoad('key', load))),
    );
  for (const { status } of [...(await ask()), ...(await ask())]) expect(status).toBe('rejected');
  expect(calls).toBe(3);
});

test('the abort of all callers gives the turn back to the others', async () => {
  const [leaving, staying] = await server.pair({ redis: { turnMs: 60_000 } });
  const controller = new AbortController();
  const left = leaving.cache.getOrLoad(
    'key',
    (signal) =>
      new Promise<string>((_, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason));
      }),
    { signal: controller.signal },
  );
  await waitUntil(() => leaving.cache.getStats().loads === 1);
  const waiting = staying.cache.getOrLoad('key', () => 'value');
  controller.abort('gone');
  await expect(left).rejects.toBe('gone');
  expect((await waiting).value).toBe('value');
});
