import type { PlantedBug } from '../planted-bug.ts';

const SERVING = 'packages/catalog/src/serving';
const TESTS = 'packages/catalog/test/serving';

export const catalogServingBugs: readonly PlantedBug[] = [
  {
    name: 'a tier that missed a generation is served in front of one that has it',
    file: `${SERVING}/generation-tier.ts`,
    sound: '.toSorted((one, other) => rank(other) - rank(one))',
    broken: '.toSorted(() => 0)',
    tests: { path: `${TESTS}/ladder`, name: 'is not served by a new process' },
  },
  {
    name: 'who serves an old generation of the cache does not look into the database',
    file: `${SERVING}/create-catalog.ts`,
    sound: 'if (current !== undefined) asked.push({ tier, current });',
    broken: 'if (current !== undefined) return [{ tier, current }];',
    tests: { path: `${TESTS}/ladder`, name: 'is passed over by those who serve the older one' },
  },
  {
    name: 'a document of another generation is handed out',
    file: `${SERVING}/documents.ts`,
    sound:
      'if (generation === this.#manifest.generation && token === this.#manifest.token) return reader;',
    broken: 'if (generation > 0) return reader;',
    tests: { path: `${TESTS}/documents`, name: 'of another generation is never handed out' },
  },
  {
    name: 'whoever has no generation waits for an API that hangs before the next tier is asked',
    file: `${SERVING}/ladder.ts`,
    sound: 'withDeadline(clock, apiMs, signal, late,',
    broken: 'withDeadline(clock, 1_000 * apiMs, signal, late,',
    tests: { path: `${TESTS}/ladder`, name: 'after an API that hangs' },
  },
  {
    name: 'a generation with fewer rows than its manifest says is served',
    file: `${SERVING}/load-generation.ts`,
    sound: 'if (counted === rows) return;',
    broken: 'if (counted <= rows) return;',
    tests: { path: `${TESTS}/ladder`, name: 'after 500' },
  },
  {
    name: 'a failed sync is not repeated',
    file: `${SERVING}/create-catalog.ts`,
    sound: 'if (refusal === undefined) {',
    broken: 'if (refusal === null) {',
    tests: { path: `${TESTS}/served-catalog`, name: 'a failed sync is repeated' },
  },
];
