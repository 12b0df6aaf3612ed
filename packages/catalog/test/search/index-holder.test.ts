import { setImmediate } from 'node:timers/promises';
import { expect, test } from '@jest/globals';
import {
  type Bundle,
  type CatalogIndex,
  IndexBuilder,
  IndexClosedError,
  IndexHolder,
  InvalidIndexError,
  NoIndexError,
  OutdatedIndexError,
  buildIndex,
  encodeBatch,
  openIndex,
} from '@holdfast/catalog';
import { seededRandom } from '@holdfast/foundation';
import { realisticBundles } from './bundles.ts';

function indexOf(bundles: readonly Bundle[]): CatalogIndex {
  const builder = new IndexBuilder({ maxBytes: 64 * 1_048_576 });
  builder.add(bundles);
  return openIndex(builder.finish().buffers);
}

/** Bundles that say of which generation they are: by group, by price, and by how many they are. */
function bundlesOf(generation: number): Bundle[] {
  const marked = (bundle: Bundle): Bundle => ({
    ...bundle,
    groups: [`generation ${generation}`],
    price: generation * 1_000 + bundle.price,
  });
  return realisticBundles(400 + generation * 10, generation).map(marked);
}

/** Whether an answer is of one whole generation. */
function isTorn(holder: IndexHolder, random: () => number): boolean {
  const generation = holder.generation ?? 0;
  const { total, rows, facets } = holder.search({
    sort: random() < 0.5 ? 'name' : 'price',
    direction: random() < 0.5 ? 'ascending' : 'descending',
    offset: Math.floor(random() * 400),
    facets: ['group'],
  });
  return (
    total !== 400 + generation * 10 ||
    facets.group?.[0]?.value !== `generation ${generation}` ||
    rows.some(
      ({ groups, price }) =>
        groups[0] !== `generation ${generation}` || Math.floor(price / 1_000) !== generation,
    )
  );
}

test('no answer is torn while workers build and generations are swapped', async () => {
  const holder = new IndexHolder();
  holder.swap(1, indexOf(bundlesOf(1)));
  const random = seededRandom(7);
  let queries = 0;
  let torn = 0;
  const state = { isSwapping: true };
  const swapping = (async () => {
    for (let generation = 2; generation <= 5; generation += 1) {
      const { buffers } = await buildIndex([encodeBatch(bundlesOf(generation))]);
      holder.swap(generation, openIndex(buffers));
    }
    state.isSwapping = false;
  })();
  while (state.isSwapping) {
    for (let turn = 0; turn < 5; turn += 1) {
      if (isTorn(holder, random)) torn += 1;
      queries += 1;
    }
    await setImmediate();
  }
  await swapping;
  expect({ torn, generation: holder.generation, held: holder.getStats().heldGenerations }).toEqual({
    torn: 0,
    generation: 5,
    held: 1,
  });
  expect(queries).toBeGreaterThan(100);
});

test('a reader sees one generation to its end, and the old one is closed after its last reader', async () => {
  const holder = new IndexHolder();
  const first = indexOf(bundlesOf(1));
  holder.swap(1, first);
  const gates = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const reads = gates.map(({ promise }) =>
    holder.read(async ({ generation, index }) => {
      const before = index.search().total;
      await promise;
      return { generation, before, after: index.search({ offset: 100 }).total };
    }),
  );
  holder.swap(2, indexOf(bundlesOf(2)));
  expect(holder.search().total).toBe(420);
  expect(holder.getStats()).toMatchObject({ generation: 2, heldGenerations: 2, readers: 2 });
  gates[0]?.resolve();
  expect(await reads[0]).toEqual({ generation: 1, before: 410, after: 410 });
  expect(first.search().total).toBe(410);
  gates[1]?.resolve();
  await reads[1];
  expect(holder.getStats()).toMatchObject({ heldGenerations: 1, readers: 0 });
  expect(() => first.search()).toThrow(IndexClosedError);
  expect(() => first.find('esim')).toThrow(IndexClosedError);
});

test('a reader that fails lets go of its generation too', async () => {
  const holder = new IndexHolder();
  holder.swap(1, indexOf(bundlesOf(1)));
  const failing = holder.read(async () => {
    await setImmediate();
    throw new Error('the documents are gone');
  });
  const throwing = holder.read(() => {
    throw new Error('at once');
  });
  const settled = Promise.allSettled([failing, throwing]);
  holder.swap(2, indexOf(bundlesOf(2)));
  expect((await settled).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  expect(holder.getStats()).toMatchObject({ heldGenerations: 1, readers: 0 });
});

test('a generation that is not newer is refused, and the current one stays', () => {
  const holder = new IndexHolder();
  holder.swap(5, indexOf(bundlesOf(5)));
  for (const generation of [5, 4, Number.NaN]) {
    expect(() => holder.swap(generation, indexOf([]))).toThrow(OutdatedIndexError);
  }
  expect(holder.search().total).toBe(450);
});

test('before the first generation there is a typed error', async () => {
  const holder = new IndexHolder();
  expect(() => holder.search()).toThrow(NoIndexError);
  expect(() => holder.find('esim')).toThrow(NoIndexError);
  await expect(holder.read(() => 1)).rejects.toThrow(NoIndexError);
  expect(holder.getStats()).toEqual({
    generation: undefined,
    heldGenerations: 0,
    readers: 0,
    bytes: 0,
  });
});

test('a swap takes less than a millisecond', () => {
  const holder = new IndexHolder();
  const indexes = Array.from({ length: 50 }, () => indexOf(bundlesOf(1)));
  const before = process.cpuUsage();
  for (const [at, index] of indexes.entries()) holder.swap(at + 1, index);
  const { user, system } = process.cpuUsage(before);
  expect((user + system) / 1_000 / indexes.length).toBeLessThan(1);
});

test('buffers of another version are refused', () => {
  const builder = new IndexBuilder({ maxBytes: 1_048_576 });
  const { buffers } = builder.finish();
  expect(() => openIndex({ ...buffers, format: 2 })).toThrow(InvalidIndexError);
  expect(() => openIndex({ ...buffers, rows: 3 })).toThrow(InvalidIndexError);
  expect(() => Reflect.apply(openIndex, undefined, [undefined])).toThrow(InvalidIndexError);
});
