/**
 * The memory tier beside its peers in one process: CPU time of a hit and of a set, the share of hits on popular and
 * rare keys, and the memory taken per byte of the bound. Exits with 1 when a ratio is over its bar.
 */
import { createMemoryCache } from '@holdfast/cache';
import { seededRandom } from '@holdfast/foundation';
import { BentoCache, bentostore } from 'bentocache';
import { memoryDriver } from 'bentocache/drivers/memory';
import { LRUCache } from 'lru-cache';
import { type Contender, inTurns } from './measuring/rounds.ts';

const KEYS = 100_000;
const OPERATIONS = 200_000;
const ROUNDS = 9;
const TTL_MS = 600_000;
const MAX_BYTES = 256 * 1_048_576;

const keys = Array.from({ length: KEYS }, (_, at) => `bundle:${String(at).padStart(6, '0')}`);
/** Some 280 bytes as JSON: a bundle of a catalog. */
const valueOf = (at: number): object => ({
  id: at,
  name: `esim_1GB_7D_DE_V2_${at}`,
  description: 'eSIM, 1GB, 7 Days, Germany, V2',
  groups: ['Standard Fixed'],
  countries: [{ name: 'Germany', region: 'Europe', iso: 'DE' }],
  dataAmount: 1_000,
  duration: 7,
  speed: ['2G', '3G', '4G', '5G'],
  unlimited: false,
  price: 1.19,
});
/** So few that they stay in the caches of the processor, which other processes share. */
const HOT_KEYS = 1_000;
const drawn = zipf(HOT_KEYS, 0.9, OPERATIONS, 1);

/** Indexes from 0 to count - 1; the chance of n is as 1 / (n + 1) ^ exponent. */
function zipf(count: number, exponent: number, draws: number, seed: number): Uint32Array {
  const sums = new Float64Array(count);
  let sum = 0;
  for (let at = 0; at < count; at += 1) sums[at] = sum += 1 / (at + 1) ** exponent;
  const random = seededRandom(seed);
  return Uint32Array.from({ length: draws }, () => {
    const wanted = random() * sum;
    let low = 0;
    let high = count - 1;
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      if ((sums[middle] ?? 0) < wanted) low = middle + 1;
      else high = middle;
    }
    return low;
  });
}

/** CPU nanoseconds of one operation. */
function timed(name: string, operations: number, run: () => unknown): Contender<number> {
  return {
    name,
    async round() {
      const before = process.cpuUsage();
      await run();
      const { user, system } = process.cpuUsage(before);
      return ((user + system) * 1_000) / operations;
    },
  };
}

function forEachDrawn(visit: (key: string, at: number) => unknown): void {
  for (const at of drawn) visit(keys[at] ?? '', at);
}

async function medians(contenders: readonly Contender<number>[]): Promise<Map<string, number>> {
  const finished = await inTurns(contenders, ROUNDS);
  const middle = (name: string): number =>
    finished.map((round) => round.get(name) ?? Number.NaN).toSorted((a, b) => a - b)[
      Math.floor(ROUNDS / 2)
    ] ?? Number.NaN;
  return new Map(contenders.map(({ name }) => [name, middle(name)]));
}

const ours = createMemoryCache<object>({ maxBytes: MAX_BYTES, ttlMs: TTL_MS });
const lru = new LRUCache<string, object>({
  maxSize: MAX_BYTES,
  ttl: TTL_MS,
  sizeCalculation: () => 500,
});
const bento = new BentoCache({
  default: 'memory',
  stores: { memory: bentostore().useL1Layer(memoryDriver({ maxItems: KEYS })) },
  ttl: TTL_MS,
});
for (const [at, key] of keys.entries()) {
  ours.set(key, valueOf(at));
  lru.set(key, valueOf(at));
  await bento.set({ key, value: valueOf(at) });
}

const BENTO_OPERATIONS = 10_000;
const hit = await medians([
  timed('ours', OPERATIONS, () => forEachDrawn((key) => ours.get(key))),
  timed('lru-cache', OPERATIONS, () => forEachDrawn((key) => lru.get(key))),
  timed('bentocache', BENTO_OPERATIONS, async () => {
    for (const at of drawn.subarray(0, BENTO_OPERATIONS)) await bento.get({ key: keys[at] ?? '' });
  }),
]);
const set = await medians([
  timed('ours', OPERATIONS, () => forEachDrawn((key, at) => ours.set(key, valueOf(at)))),
  timed('lru-cache', OPERATIONS, () => forEachDrawn((key, at) => lru.set(key, valueOf(at)))),
]);

/** The share of hits in percent, after a first half that fills the cache. */
function hitRatio(get: (key: string) => unknown, put: (key: string) => unknown): number {
  const indexes = zipf(KEYS, 0.9, 1_000_000, 2);
  let hits = 0;
  for (const [turn, at] of indexes.entries()) {
    const key = keys[at] ?? '';
    if (get(key) === undefined) put(key);
    else if (turn >= indexes.length / 2) hits += 1;
  }
  return (hits * 200) / indexes.length;
}

const shares = [0.01, 0.1].map((share) => {
  const few = createMemoryCache<number>({ maxEntries: KEYS * share, maxBytes: MAX_BYTES });
  const fewLru = new LRUCache<string, number>({ max: KEYS * share });
  return {
    share,
    ours: hitRatio(
      (key) => few.get(key),
      (key) => few.set(key, 1),
    ),
    lru: hitRatio(
      (key) => fewLru.get(key),
      (key) => fewLru.set(key, 1),
    ),
  };
});

const of = (measured: ReadonlyMap<string, number>, name: string): number =>
  measured.get(name) ?? Number.NaN;
const overLru = of(hit, 'ours') / of(hit, 'lru-cache');
const underBento = of(hit, 'bentocache') / of(hit, 'ours');
const setOverLru = of(set, 'ours') / of(set, 'lru-cache');
const pointsAhead = (shares[0]?.ours ?? 0) - (shares[0]?.lru ?? 0);
const rows = [
  ['a hit, ours / lru-cache with TTL and sizes', `${overLru.toFixed(2)}x`, 'at most 1.3x'],
  ['a hit, bentocache in memory / ours', `${underBento.toFixed(1)}x`, 'at least 20x'],
  ['a set of an object, ours / lru-cache', `${setOverLru.toFixed(2)}x`, ''],
  ...shares.map(({ share, ours: own, lru: other }) => [
    `hits on Zipf 0.9, ${share * 100} % of the keys, ours and LRU`,
    `${own.toFixed(1)} % and ${other.toFixed(1)} %`,
    share === 0.01 ? '10 points more' : '',
  ]),
];
process.stdout.write('| memory tier | measured | bar |\n|---|---:|---:|\n');
for (const row of rows) process.stdout.write(`| ${row.join(' | ')} |\n`);
process.stdout.write(
  `\nCPU ns of a hit: ${[...hit].map(([name, ns]) => `${name} ${Math.round(ns)}`).join(', ')}\n`,
);
await bento.disconnectAll();
if (overLru > 1.3 || underBento < 20 || pointsAhead < 10) {
  process.stderr.write('over its bar\n');
  process.exitCode = 1;
}
