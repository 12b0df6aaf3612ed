import type { PlantedBug } from '../planted-bug.ts';

const SOURCE = 'packages/atlas/src';
const TESTS = 'packages/atlas/test';

export const atlasBugs: readonly PlantedBug[] = [
  {
    name: 'the next page begins where the asked one would end, not the sent one',
    file: `${SOURCE}/extraction/state-batch-extractor.ts`,
    sound: 'offset += page.features.length;',
    broken: 'offset += pageSize;',
    tests: { path: `${TESTS}/extraction`, name: 'whatever the size of a page' },
  },
  {
    name: 'an error document with the status 200 is a page without features',
    file: `${SOURCE}/extraction/portal-page.ts`,
    sound: 'if (failure !== undefined) throw',
    broken: 'if (failure === undefined && response.status > OK) throw',
    tests: { path: `${TESTS}/extraction`, name: 'error document with the status 200' },
  },
  {
    name: 'Retry-After of a portal is not read',
    file: `${SOURCE}/extraction/portal-page.ts`,
    sound: "response.headers.get('retry-after')",
    broken: "response.headers.get('retry-later')",
    tests: { path: `${TESTS}/extraction`, name: 'asks to wait is not asked before' },
  },
  {
    name: 'an open ring is a district',
    file: `${SOURCE}/geometry/check-feature.ts`,
    sound: "if (!samePosition(ring[0], ring.at(-1))) return 'open-ring';",
    broken: "if (!samePosition(ring[0], ring[0])) return 'open-ring';",
    tests: { path: `${TESTS}/geometry`, name: 'rejected as open-ring' },
  },
  {
    name: 'a district across the antimeridian is only found on one side',
    file: `${SOURCE}/lookup/district-index.ts`,
    sound: 'tree.maxX > TURN / 2) shifts.push(TURN);',
    broken: 'tree.maxX > TURN) shifts.push(TURN);',
    tests: { path: `${TESTS}/lookup`, name: 'on both of its sides' },
  },
  {
    name: 'all clients share one limit',
    file: `${SOURCE}/api/shadow-atlas-api.ts`,
    sound: 'this.clients.get(clientId)',
    broken: 'this.clients.get(clientId.slice(0, 0))',
    tests: { path: `${TESTS}/api`, name: 'the limit of each client' },
  },
  {
    name: 'a stale answer looks like a fresh one',
    file: `${SOURCE}/api/shadow-atlas-api.ts`,
    sound: 'result: outcome.value, stale: true, ageMs: outcome.ageMs',
    broken: 'result: outcome.value, stale: false, ageMs: outcome.ageMs',
    tests: { path: `${TESTS}/api`, name: 'serves the stale answer' },
  },
  {
    name: 'a block is taken over unverified',
    file: `${SOURCE}/ipfs/cid.ts`,
    sound: 'matches: () => hash.digest().equals(digest),',
    broken: 'matches: () => hash.digest().length === digest.length,',
    tests: { path: `${TESTS}/ipfs`, name: 'corrupt is never served' },
  },
  {
    name: 'a damaged block on disk is taken for the block',
    file: `${SOURCE}/ipfs/block-files.ts`,
    sound: 'return isBlockOf(name, bytes) ? bytes : undefined;',
    broken: 'return isBlockOf(name, bytes) || bytes.length > 0 ? bytes : undefined;',
    tests: { path: `${TESTS}/ipfs`, name: 'a damaged one is fetched anew' },
  },
  {
    name: 'a layer that was cut counts as stored',
    file: `${SOURCE}/batch/layer-files.ts`,
    sound: 'return Array.isArray(value) && value.length === length;',
    broken: 'return Array.isArray(value) && value.length <= length;',
    tests: { path: `${TESTS}/batch`, name: 'goes on where it was' },
  },
  {
    name: 'the batch does not come back to a task whose circuit was open',
    file: `${SOURCE}/batch/batch-orchestrator.ts`,
    sound: "return isExhausted && propertyOf(error, 'exhaustedBy') !== 'not-retryable';",
    broken: "return isExhausted && propertyOf(error, 'exhaustedBy') === 'not-retryable';",
    tests: { path: `${TESTS}/batch`, name: 'comes back to a task' },
  },
];
