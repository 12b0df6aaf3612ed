import { setImmediate } from 'node:timers/promises';
import { expect, test } from '@jest/globals';
import {
  type Bundle,
  type BuildIndexOptions,
  IndexBuildError,
  IndexBuilder,
  buildIndex,
  encodeBatch,
  openIndex,
} from '@holdfast/catalog';
import { InvalidOptionError, seededRandom } from '@holdfast/foundation';
import { createFakeClock } from '@holdfast/foundation/testing';
import { BuildWorker } from '../../src/search/build/build-worker.ts';
import { arrayScan } from './array-scan.ts';
import { hostileBundles, realisticBundles } from './bundles.ts';

const BUNDLE: Bundle = {
  name: 'esim_1GB_7D_DE_V2',
  price: 1.19,
  dataAmount: 1_000,
  duration: 7,
  unlimited: false,
  countries: [{ name: 'Germany', region: 'Europe', iso: 'DE' }],
};

function* batchesOf(bundles: readonly Bundle[], size: number): Generator<Uint8Array> {
  for (let at = 0; at < bundles.length; at += size) yield encodeBatch(bundles.slice(at, at + size));
}

/** Yields a batch, then waits for ever; `closed` resolves when nobody wants more. */
function endless(): {
  batches: AsyncIterable<Uint8Array>;
  closed: Promise<void>;
  asked: Promise<void>;
} {
  const { promise: closed, resolve: close } = Promise.withResolvers<void>();
  const { promise: asked, resolve: ask } = Promise.withResolvers<void>();
  const batches = {
    [Symbol.asyncIterator]: () => {
      let isFirst = true;
      return {
        next: async () => {
          if (!isFirst) {
            ask();
            return new Promise<never>(() => {});
          }
          isFirst = false;
          return { done: false as const, value: encodeBatch([BUNDLE]) };
        },
        return: async () => {
          close();
          return { done: true as const, value: undefined };
        },
      };
    },
  };
  return { batches, closed, asked };
}

async function failureOf(
  batches: Parameters<typeof buildIndex>[0],
  options: BuildIndexOptions = {},
): Promise<unknown> {
  return buildIndex(batches, options).then(
    () => undefined,
    (error: unknown) => error,
  );
}

test('an index that a worker built answers like a scan, hostile names included', async () => {
  const bundles = realisticBundles(700, 1).concat(hostileBundles(200, seededRandom(2)));
  const built = await buildIndex(batchesOf(bundles, 90));
  const index = openIndex(built.buffers);
  const scan = arrayScan(bundles);
  const all = { limit: 1_000, sort: 'name', facets: ['group', 'region'] } as const;
  expect(index.search(all)).toEqual(scan(all));
  expect(built.rows).toBe(index.rows);
  expect(built.rows + built.duplicates).toBe(bundles.length);
});

test('no batches make an index of no bundles', async () => {
  const { buffers } = await buildIndex([]);
  const index = openIndex(buffers);
  expect(index.search({ facets: ['country', 'unlimited'], sort: 'name' })).toEqual({
    total: 0,
    rows: [],
    facets: { country: [], unlimited: [] },
  });
  expect(index.search({ country: 'DE', text: 'g', minPrice: 1 }).total).toBe(0);
  expect(index.find('esim')).toBeUndefined();
});

test('a batch is sent only when the worker has room, and the wait for it can be aborted', async () => {
  const main = new URL('./failing-worker.ts', import.meta.url);
  const silent = new BuildWorker({ maxBytes: -1, maxHeapMb: 64, maxInFlight: 2, main });
  const controller = new AbortController();
  try {
    const sent: number[] = [];
    const sending = (async () => {
      for (let batch = 1; batch <= 3; batch += 1) {
        await silent.add(encodeBatch([BUNDLE]), controller.signal);
        sent.push(batch);
      }
    })();
    const settled = sending.catch((error: unknown) => error);
    for (let turn = 0; turn < 50; turn += 1) await setImmediate();
    expect(sent).toEqual([1, 2]);
    controller.abort('enough');
    expect(await settled).toBe('enough');
  } finally {
    await silent.close();
  }
});

test('an abort ends a worker that is busy for ever', async () => {
  const main = new URL('./failing-worker.ts', import.meta.url);
  const busy = new BuildWorker({ maxBytes: -2, maxHeapMb: 64, maxInFlight: 1, main });
  const controller = new AbortController();
  await busy.add(encodeBatch([BUNDLE]), controller.signal);
  // There is room for a second one when it has answered to the first, which it does before it is busy.
  await busy.add(encodeBatch([BUNDLE]), controller.signal);
  const finished = busy.finish(controller.signal).catch((error: unknown) => error);
  controller.abort('enough');
  expect(await finished).toBe('enough');
  await busy.close();
  expect(busy.failed.aborted).toBe(false);
});

test('this thread serves while an index is built', async () => {
  const bundles = realisticBundles(3_000, 4);
  const batches = [...batchesOf(bundles, 500)];
  let turns = 0;
  const state = { isBuilding: true };
  const building = buildIndex(batches).finally(() => {
    state.isBuilding = false;
  });
  while (state.isBuilding) {
    turns += 1;
    await setImmediate();
  }
  expect((await building).rows).toBe(3_000);
  // Building takes far longer than a turn of the loop, and none of it is here.
  expect(turns).toBeGreaterThan(20);
});

test('the caller keeps the bytes of a batch', async () => {
  const batch = encodeBatch([BUNDLE]);
  await buildIndex([batch, batch]);
  expect(batch.length).toBeGreaterThan(100);
});

test('an abort ends the thread, closes the batches and rejects with its own reason', async () => {
  const { batches, closed, asked } = endless();
  const controller = new AbortController();
  const failure = failureOf(batches, { signal: controller.signal });
  await asked;
  controller.abort('enough');
  expect(await failure).toBe('enough');
  await closed;
  expect(await failureOf([], { signal: AbortSignal.abort('before') })).toBe('before');
});

test('a source that takes too long is a timeout', async () => {
  const clock = createFakeClock();
  const { batches, closed, asked } = endless();
  const failure = failureOf(batches, { timeoutMs: 5_000, clock });
  await asked;
  await clock.advance(5_000);
  expect(await failure).toMatchObject({ reason: 'timeout', retryable: true });
  await closed;
});

test('what the source throws is what the caller gets', async () => {
  const broken = new Error('page 3 is gone');
  async function* batches(): AsyncGenerator<Uint8Array> {
    yield encodeBatch([BUNDLE]);
    throw broken;
  }
  expect(await failureOf(batches())).toBe(broken);
});

test.each([
  ['no JSON', Buffer.from('[{"name": '), 'invalid-batch'],
  ['no array', Buffer.from('{}'), 'invalid-batch'],
  ['no UTF-8', Buffer.from([0x5b, 0x22, 0xff, 0x22, 0x5d]), 'invalid-batch'],
  ['a price over all numbers', bytesWith('1e999'), 'invalid-bundle'],
] as const)('a batch with %s fails the build with a typed error', async (_, bytes, reason) => {
  const failure = await failureOf([encodeBatch([BUNDLE]), bytes]);
  expect(failure).toBeInstanceOf(IndexBuildError);
  expect(failure).toMatchObject({ code: 'CATALOG_INDEX_BUILD_FAILED', reason, retryable: false });
});

function bytesWith(price: string): Uint8Array {
  return Buffer.from(`[${JSON.stringify(BUNDLE).replace('1.19', price)}]`);
}

test.each([
  ['a number', 7, 'it must be an object, but is 7'],
  ['null', null, 'it must be an object, but is null'],
  ['a price in words', { price: '1.19' }, 'price must be a finite number, but is "1.19"'],
  ['a price of NaN', { price: Number.NaN }, 'price must be a finite number, but is NaN'],
  ['an infinite amount', { dataAmount: Infinity }, 'dataAmount must be a finite number'],
  ['no duration', { duration: undefined }, 'duration must be a finite number, but is undefined'],
  ['a name of an object', { name: {} }, 'name must be a string'],
  ['an empty name', { name: '' }, 'name must be a string'],
  ['unlimited as text', { unlimited: 'yes' }, 'unlimited must be a boolean, but is "yes"'],
  ['groups as text', { groups: 'Standard' }, 'groups must be an array of strings'],
  ['a group of null', { groups: [null] }, 'groups must be an array of strings'],
  ['countries as text', { countries: 'DE' }, 'countries must be an array of countries'],
  ['countries of text', { countries: ['DE'] }, 'countries must be an array of countries'],
  ['a country without a code', { countries: [{ name: 'Germany', region: 'Europe' }] }, 'countries'],
  ['roaming that is true', { roamingEnabled: true }, 'roamingEnabled must be an array'],
  ['a description of null', { description: null }, 'description must be a string, but is null'],
])('a bundle with %s is refused by bundle, field and value', (_, change, seen) => {
  const builder = new IndexBuilder({ maxBytes: 1_048_576 });
  const isField = typeof change === 'object' && change !== null;
  const broken = isField ? { ...BUNDLE, ...change } : change;
  builder.add([BUNDLE]);
  const add = (): void => builder.add([broken]);
  expect(add).toThrow(IndexBuildError);
  expect(add).toThrow(`bundle 1`);
  expect(add).toThrow(seen);
});

test.each([
  ['throws', 0, 'broken on purpose'],
  ['exits', 3, 'ended with 3'],
])('a worker that %s is a typed error', async (_, maxBytes, seen) => {
  const main = new URL('./failing-worker.ts', import.meta.url);
  const worker = new BuildWorker({ maxBytes, maxHeapMb: 64, maxInFlight: 1, main });
  try {
    await worker.add(encodeBatch([BUNDLE]), worker.failed);
    // The second waits for a reply to the first, which never comes.
    const failure = worker.add(encodeBatch([BUNDLE]), worker.failed);
    await expect(failure).rejects.toMatchObject({ reason: 'worker-failed', retryable: true });
    await expect(failure).rejects.toThrow(seen);
  } finally {
    await worker.close();
  }
});

test('a worker whose heap is full is a typed error, and this process goes on', async () => {
  const groups = Array.from({ length: 500 }, (_, at) => `g${at}`);
  async function* lists(): AsyncGenerator<Uint8Array> {
    for (let at = 0; ; at += 1) {
      const turned = [...groups.slice(at % 500), ...groups.slice(0, at % 500)];
      const bundles = Array.from({ length: 50 }, (_, place) => {
        const own = turned.toSpliced(place * 5, 1 + (Math.floor(at / 500) % 5));
        return { ...BUNDLE, name: `bundle ${at} ${place}`, groups: own };
      });
      yield encodeBatch(bundles);
    }
  }
  const limits = { maxHeapMb: 16, maxBatchBytes: 262_144 };
  expect(await failureOf(lists(), limits)).toMatchObject({
    reason: 'out-of-memory',
    outcome: 'not-applied',
  });
});

test('a batch whose objects take a multiple of its bytes does not end this process', async () => {
  const bytes = Buffer.from(`[${'[],'.repeat(87_000)}[]]`);
  const limits = { maxHeapMb: 16, maxBatchBytes: 262_144 };
  expect(await failureOf([bytes], limits)).toMatchObject({ code: 'CATALOG_INDEX_BUILD_FAILED' });
  expect(await failureOf([], { ...limits, maxBatchBytes: 262_145 })).toMatchObject({
    code: 'INVALID_OPTION',
    field: 'maxBatchBytes',
  });
});

test('a builder over its bound on memory fails, and says what it took', async () => {
  const described = (bundle: Bundle, at: number): Bundle => ({
    ...bundle,
    description: `${'w'.repeat(20)}${at} `.repeat(20),
  });
  const bundles = realisticBundles(4_000, 5).map(described);
  const failure = await failureOf(batchesOf(bundles, 200), { maxBytes: 1_048_576 });
  expect(failure).toMatchObject({ reason: 'too-large', outcome: 'not-applied' });
  expect(String(failure)).toContain('over 1048576');
});

test('a batch over its bound is not sent', async () => {
  expect(await failureOf([encodeBatch([BUNDLE, BUNDLE])], { maxBatchBytes: 100 })).toMatchObject({
    reason: 'too-large',
  });
});

test('a batch that is not bytes, and options out of range, are refused', async () => {
  const building: Promise<unknown> = Reflect.apply(buildIndex, undefined, [['[]']]);
  expect(await building.catch((error: unknown) => error)).toBeInstanceOf(InvalidOptionError);
  expect(await failureOf([], { maxBytes: 1 })).toBeInstanceOf(InvalidOptionError);
  expect(await failureOf([], { maxBatchesInFlight: Number.NaN })).toBeInstanceOf(
    InvalidOptionError,
  );
});
