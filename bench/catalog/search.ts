/**
 * Search over a catalog beside the libraries that people use for it, in one process: the CPU time to build, the memory
 * held, and the CPU time of a query, on one mix: 35 % by country, 25 % by country and range, 15 % by region and range,
 * 15 % by the beginning of a word, 10 % by that and a range; the total and the first 20 by price. Every answer is
 * compared with a scan. Exits with 1 when ours is less than 20 times as fast as one of them, or has a wrong answer.
 *
 *   pnpm bench catalog-search --bundles=500000 --queries=100
 */
import { parseArgs } from 'node:util';
import type { Bundle, CatalogQuery } from '@holdfast/catalog';
import { type Random, seededRandom } from '@holdfast/foundation';
import { countries, createBundles, pick } from './peers/bundles.ts';
import {
  type Answer,
  type Engine,
  flexSearch,
  miniSearch,
  orama,
  ours,
  scan,
} from './peers/engines.ts';

const SEED = 20_261_130;
const BAR = 20;
const WARM_UP_MS = 300;
const MEASURED_MS = 500;
const { values } = parseArgs({
  allowPositionals: true,
  options: {
    bundles: { type: 'string', default: '50000' },
    queries: { type: 'string', default: '200' },
  },
});
const bundleCount = Number(values.bundles);
const queryCount = Number(values.queries);

function rangeOf(random: Random): CatalogQuery {
  if (random() < 0.5) {
    const minPrice = Math.floor(random() * 40);
    return { minPrice, maxPrice: minPrice + 5 + Math.floor(random() * 40) };
  }
  const [low, high] = [pick(random, [1_000, 3_000, 5_000]), pick(random, [10_000, 20_000, 50_000])];
  return { minDataMb: low, maxDataMb: high };
}

function queryOf(random: Random): CatalogQuery {
  const country = pick(random, countries);
  const kind = random();
  if (kind < 0.35) return { country: country.iso };
  if (kind < 0.6) return { country: country.iso, ...rangeOf(random) };
  if (kind < 0.75) return { region: country.region, ...rangeOf(random) };
  const word = pick(random, countries).name.toLowerCase();
  const text = word.slice(0, 3 + Math.floor(random() * 3));
  return kind < 0.9 ? { text } : { text, ...rangeOf(random) };
}

interface Measured {
  readonly name: string;
  readonly buildMs: number;
  readonly heldMb: number;
  /** CPU time of a query, in microseconds. */
  readonly meanUs: number;
  readonly p50Us: number;
  readonly p99Us: number;
  readonly wrong: number;
}

function cpuMsSince(before: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1_000;
}

function heldBytes(): number {
  globalThis.gc?.();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

/** Runs whole mixes until the time is over, at least one; returns the microseconds of each query. */
async function runFor(
  limitMs: number,
  queries: readonly CatalogQuery[],
  answer: (query: CatalogQuery) => Answer | Promise<Answer>,
): Promise<number[]> {
  const times: number[] = [];
  const endMs = performance.now() + limitMs;
  do {
    for (const query of queries) {
      const startMs = performance.now();
      await answer(query);
      times.push((performance.now() - startMs) * 1_000);
    }
  } while (performance.now() < endMs);
  return times;
}

async function measure(
  engine: Engine,
  bundles: readonly Bundle[],
  queries: readonly CatalogQuery[],
  expected: readonly Answer[],
): Promise<Measured> {
  const before = heldBytes();
  const start = process.cpuUsage();
  const { answer, sharedBytes = 0 } = await engine.build(bundles);
  const buildMs = cpuMsSince(start);
  const heldMb = (heldBytes() - before + sharedBytes) / 1e6;
  let wrong = 0;
  for (const [at, query] of queries.entries()) {
    const { total, prices } = await answer(query);
    const wanted = expected[at];
    if (total !== wanted?.total || prices.join() !== wanted.prices.join()) wrong += 1;
  }
  await runFor(WARM_UP_MS, queries, answer);
  const mix = process.cpuUsage();
  const times = await runFor(MEASURED_MS, queries, answer);
  const meanUs = (cpuMsSince(mix) * 1_000) / times.length;
  const sorted = times.toSorted((left, right) => left - right);
  const at = (share: number): number => sorted[Math.floor(sorted.length * share)] ?? Number.NaN;
  return { name: engine.name, buildMs, heldMb, meanUs, p50Us: at(0.5), p99Us: at(0.99), wrong };
}

const bundles = createBundles(bundleCount, SEED);
const random = seededRandom(SEED);
const queries = Array.from({ length: queryCount }, () => queryOf(random));
const scanned = await scan.build(bundles);
const expected: Answer[] = [];
for (const query of queries) expected.push(await scanned.answer(query));

const measured: Measured[] = [];
for (const engine of [ours, scan, flexSearch, miniSearch, orama]) {
  measured.push(await measure(engine, bundles, queries, expected));
}
const own = measured[0];
process.stdout.write(
  `${bundleCount.toLocaleString('en')} bundles, ${queryCount} queries, seed ${SEED}\n\n` +
    '| engine | build, CPU ms | held, MB | query, CPU us | p50 us | p99 us | / ours | wrong |\n' +
    '|---|---:|---:|---:|---:|---:|---:|---:|\n',
);
let isOver = (own?.wrong ?? 1) > 0;
for (const { name, buildMs, heldMb, meanUs, p50Us, p99Us, wrong } of measured) {
  const ratio = meanUs / (own?.meanUs ?? Number.NaN);
  if (name !== own?.name && !(ratio >= BAR)) isOver = true;
  const cells = [buildMs.toFixed(0), heldMb.toFixed(1), meanUs.toFixed(1), p50Us.toFixed(1)];
  cells.push(p99Us.toFixed(1), `${ratio.toFixed(1)}x`, `${wrong}`);
  process.stdout.write(`| ${name} | ${cells.join(' | ')} |\n`);
}
if (globalThis.gc === undefined)
  process.stdout.write('\nWithout --expose-gc, what is held is a guess.\n');
if (isOver) {
  process.stderr.write('under its bar\n');
  process.exitCode = 1;
}
