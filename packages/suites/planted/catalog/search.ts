import type { PlantedBug } from '../planted-bug.ts';

const SEARCH = 'packages/catalog/src/search';
const TESTS = 'packages/catalog/test/search';

export const catalogSearchBugs: readonly PlantedBug[] = [
  {
    name: 'a replaced index is closed while it is read',
    file: `${SEARCH}/index-holder.ts`,
    sound: 'if (held.readers > 0) return;',
    broken: '',
    tests: { path: `${TESTS}/index-holder`, name: 'closed after its last reader' },
  },
  {
    name: 'a range of amounts has the rows of the value below it too',
    file: `${SEARCH}/format/sorted-column.ts`,
    sound: 'if (from > 0) filters.push({ words, at: (from - 1) * size, turned: -1 });',
    broken: 'if (from > 1) filters.push({ words, at: (from - 2) * size, turned: -1 });',
    tests: { path: `${TESTS}/search`, name: 'the answer of a scan over bundles as the API' },
  },
  {
    name: 'batches pile up in front of a slow worker',
    file: `${SEARCH}/build/build-worker.ts`,
    sound: 'this.#inFlight < this.#options.maxInFlight',
    broken: 'true',
    tests: { path: `${TESTS}/build-index`, name: 'only when the worker has room' },
  },
  {
    name: 'names that are half of a surrogate pair are one name',
    file: `${SEARCH}/format/text-bytes.ts`,
    sound: 'if (text.isWellFormed()) return Buffer.from(text);',
    broken: 'return Buffer.from(text);',
    tests: { path: `${TESTS}/search`, name: 'every bundle is found by its name' },
  },
];
