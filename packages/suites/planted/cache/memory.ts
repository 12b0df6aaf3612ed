import type { PlantedBug } from '../planted-bug.ts';

const MEMORY = 'packages/cache/test/memory';
const LOADING = 'packages/cache/test/loading';

export const cacheBugs: readonly PlantedBug[] = [
  {
    name: 'one pass over new keys empties the cache',
    file: 'packages/cache/src/memory/s3-fifo.ts',
    sound: '} else if ((this.#uses[slot] ?? 0) >= USES_TO_STAY) {',
    broken: '} else if (this.#index.size > 0) {',
    tests: { path: `${MEMORY}/eviction`, name: 'a scan of keys' },
  },
  {
    name: 'a key that comes back soon after it was evicted is new again',
    file: 'packages/cache/src/memory/s3-fifo.ts',
    sound: 'isBack ? this.#main : this.#small',
    broken: 'isBack ? this.#small : this.#small',
    tests: { path: `${MEMORY}/eviction`, name: 'a loop over' },
  },
  {
    name: 'the bytes of a replaced value stay counted',
    file: 'packages/cache/src/memory/s3-fifo.ts',
    sound: 'bytes - (this.#bytes[slot] ?? 0);',
    broken: 'bytes;',
    tests: { path: `${MEMORY}/bounds`, name: 'when all entries are gone' },
  },
  {
    name: 'a value that is too large leaves the older one behind',
    file: 'packages/cache/src/memory/memory-cache.ts',
    sound: 'this.#entries.delete(key);\n      return',
    broken: 'return',
    tests: { path: `${MEMORY}/bounds`, name: 'too large' },
  },
  {
    name: 'minus zero comes back as zero',
    file: 'packages/cache/src/codec/kinds.ts',
    sound: 'Number.isFinite(value) && !Object.is(value, -0)',
    broken: 'Number.isFinite(value)',
    tests: { path: 'packages/cache/test/contract', name: 'minus zero in a list' },
  },
  {
    name: 'a slice keeps the longer string alive',
    file: 'packages/cache/src/memory/holding.ts',
    sound: 'const text = isScalar(value) ? undefined',
    broken: "const text = isScalar(value) || typeof value === 'string' ? undefined",
    tests: { path: `${MEMORY}/bounds`, name: 'the memory that the process takes' },
  },
  {
    name: 'what was read before a key was deleted is stored after it',
    file: 'packages/cache/src/loading/create-cache.ts',
    sound: 'const isKept = isCurrent() && this.#keep(',
    broken: 'const isKept = this.#keep(',
    tests: { path: `${LOADING}/single-flight`, name: 'before a key was deleted' },
  },
  {
    name: 'the abort of one caller aborts the load of all',
    file: 'packages/resilience/src/coalesce/coalesce.ts',
    sound: 'if (call.callers > 0) return;',
    broken: '',
    tests: { path: `${LOADING}/single-flight`, name: 'the abort of one caller' },
  },
  {
    name: 'a failing source is asked with each stale answer',
    file: 'packages/cache/src/loading/create-cache.ts',
    sound: '? nowMs >= record.refreshAtMs',
    broken: '? nowMs >= 0',
    tests: { path: `${LOADING}/stale`, name: 'while the source fails' },
  },
  {
    name: 'a tag that was invalidated while its value was loading has no effect on it',
    file: 'packages/cache/src/loading/record-store.ts',
    sound: 'madeAt: entry.madeAt ?? this.tags.now,',
    broken: 'madeAt: this.tags.now,',
    tests: { path: `${LOADING}/tags`, name: 'what was loading' },
  },
  {
    name: 'the slower of two data sets replaces the newer',
    file: 'packages/cache/src/generations/generations.ts',
    sound: 'if (number < (this.#current?.number ?? 0)) {',
    broken: 'if (number < 0) {',
    tests: { path: 'packages/cache/test/generations', name: 'the slower of two' },
  },
  {
    name: 'a key that was just set is the one that makes room',
    file: 'packages/cache/src/memory/s3-fifo.ts',
    sound: 'small.count > 1 &&',
    broken: '',
    tests: { path: `${MEMORY}/eviction`, name: 'a key that was just set' },
  },
  {
    name: 'who comes after an invalidation joins a load from before it',
    file: 'packages/cache/src/loading/create-cache.ts',
    sound: 'if (!isValid) this.#detach(key);',
    broken: '',
    tests: { path: `${LOADING}/tags`, name: 'who comes after an invalidation' },
  },
];
