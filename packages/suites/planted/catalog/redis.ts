import type { PlantedBug } from '../planted-bug.ts';

const REDIS = 'packages/catalog/src/generations/redis';
const SUITES = 'packages/suites/test/catalog-sync';
const UNIT = 'packages/catalog/test/redis';

export const catalogRedisBugs: readonly PlantedBug[] = [
  {
    name: 'a leader that was overtaken while it staged publishes',
    file: `${REDIS}/scripts.ts`,
    sound: "redis.call('SET', KEYS[2], fenceOf(seenGeneration, token))",
    broken: '',
    tests: { path: `${SUITES}/redis-leaders`, name: 'a leader that is overtaken' },
  },
  {
    name: 'a generation that has lost a chunk while it was staged is published',
    file: `${REDIS}/scripts.ts`,
    sound: "if length == 0 then return {'missing', index} end",
    broken: "if length == 0 then return {'published'} end",
    tests: { path: `${SUITES}/redis-generations`, name: 'was evicted while it was staged' },
  },
  {
    name: 'a chunk is rebuilt from other bundles than the generation has',
    file: `${REDIS}/redis-reader.ts`,
    sound:
      'rows.length === this.#eventOf(index).rows && namesSum(rows) === this.#record.sums[index]',
    broken: 'rows.length === this.#eventOf(index).rows',
    tests: { path: `${SUITES}/redis-damage`, name: 'not rebuilt from other bundles' },
  },
  {
    name: 'a lock whose answer was lost is never given back',
    file: 'packages/catalog/src/lock/redis-lock.ts',
    sound: 'if (!isUntouched) this.#loseTrack(owner);',
    broken: 'void isUntouched;',
    tests: { path: `${UNIT}/redis-lock`, name: 'does not answer is given back' },
  },
  {
    name: 'a lease does not end while its process is busy',
    file: 'packages/catalog/src/lock/redis-lock.ts',
    sound: 'checkAtUse(this.#controller.signal, () => this.#check());',
    broken: '',
    tests: { path: `${UNIT}/redis-lock`, name: 'taken long ago' },
  },
];
