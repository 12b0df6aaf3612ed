/**
 * Fills a memory cache far over its bound, and prints the memory it takes per byte of the bound, for each shape of values.
 * Run with --expose-gc.
 */
import { type HoldMode, type MemoryCache, createMemoryCache } from '@holdfast/cache';

const MAX_BYTES = 2 * 1_048_576;
const shapes: Readonly<Record<string, (at: number) => unknown>> = {
  'small numbers': (at) => at,
  fractions: (at) => at + 0.5,
  'a number of entries that suits the index worst': (at) => `${at}`.padEnd(64),
  'short strings': (at) => `value ${at}`,
  'Latin strings': (at) => `${at} ${'á'.repeat(100)}`,
  'CJK strings': (at) => `${at} ${'字'.repeat(100)}`,
  'slices of long strings': (at) => `${at}`.padEnd(4_000).slice(0, 100),
  concatenations: (at) =>
    Array.from({ length: 20 }, (_, part) => `${at + part}`).reduce((left, right) => left + right),
  objects: (at) => ({
    id: at,
    name: `bundle ${at}`,
    price: at / 7,
    tags: ['a', `b${at}`],
    nested: { ok: true, when: null },
  }),
  tables: (at) =>
    Object.fromEntries(Array.from({ length: 60 }, (_, part) => [`key ${at} ${part}`, part])),
  'number lists': (at) => Array.from({ length: 50 }, (_, part) => at + part / 3),
  'dates and maps': (at) => ({ at: new Date(at), of: new Map([[at, `v${at}`]]) }),
  buffers: (at) => Buffer.alloc(200, at),
  'parts of long buffers': (at) => Buffer.alloc(4_000, at).subarray(0, 100),
};

function used(): number {
  // What one collection frees may keep something else alive until the next.
  for (let round = 0; round < 2; round += 1) globalThis.gc?.();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

/** Sets until as many entries have left as there are: the index then has as many deleted ones as it ever has. */
function fill(cache: MemoryCache, make: (at: number) => unknown): void {
  let at = 0;
  do {
    at += 1;
    cache.set(`key:${at}`, make(at));
  } while (cache.getStats().evictions <= cache.getStats().entries);
}

const modes: readonly HoldMode[] = ['frozen', 'encoded'];
for (const make of Object.values(shapes))
  fill(createMemoryCache({ maxBytes: MAX_BYTES / 4 }), make);
for (const hold of modes) {
  for (const [name, make] of Object.entries(shapes)) {
    // Strings and numbers are held alike in both.
    if (hold === 'encoded' && typeof make(1) !== 'object') continue;
    const cache = createMemoryCache({ maxBytes: MAX_BYTES, hold });
    fill(cache, make);
    const { entries } = cache.getStats();
    const filled = used();
    cache.clear();
    const ratio = (filled - used()) / MAX_BYTES;
    process.stdout.write(`${JSON.stringify({ hold, name, ratio, entries })}\n`);
  }
}
