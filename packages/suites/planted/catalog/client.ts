import type { PlantedBug } from '../planted-bug.ts';

const CLIENT = 'packages/catalog/src/client';
const TESTS = 'packages/catalog/test/client';

export const catalogClientBugs: readonly PlantedBug[] = [
  {
    name: 'the tail of a group is fetched again, though rows have moved before it',
    file: `${CLIENT}/group-pages.ts`,
    sound: 'sha256 !== body.sha256',
    broken: "sha256 === ''",
    tests: { path: `${TESTS}/drift`, name: 'are gone, if they were removed' },
  },
  {
    name: 'requests in flight are not counted against the next window',
    file: `${CLIENT}/pacing/rate-window.ts`,
    sound: 'const atRisk = inFlight * this.#cost;',
    broken: 'const atRisk = 0;',
    tests: { path: `${TESTS}/rate-limit`, name: 'with latencies that jump' },
  },
];
