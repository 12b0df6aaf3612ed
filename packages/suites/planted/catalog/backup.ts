import type { PlantedBug } from '../planted-bug.ts';

const TESTS = 'packages/catalog/test/backup';

export const catalogBackupBugs: readonly PlantedBug[] = [
  {
    name: 'a backup gets its name before it is on the disk',
    file: 'packages/catalog/src/backup/frame-writer.ts',
    sound: 'await this.#file.sync();',
    broken: '',
    tests: { path: `${TESTS}/faults`, name: 'dies at any step' },
  },
  {
    name: 'a backup under an older token replaces a newer one',
    file: 'packages/catalog/src/backup/write-backup.ts',
    sound: 'newestFirst(newest, this.#manifest) < 0',
    broken: 'newestFirst(newest, this.#manifest) < -100',
    tests: { path: `${TESTS}/backup.test`, name: 'token' },
  },
  {
    name: 'a damaged backup counts as one that is kept',
    file: 'packages/catalog/src/backup/write-backup.ts',
    sound: '} else if (await this.#isWhole(name)) {',
    broken: '} else if (name.token >= 0) {',
    tests: { path: `${TESTS}/backup.test`, name: 'does not count as kept' },
  },
  {
    name: 'what an older file left on the disk is salvaged with the newer one',
    file: 'packages/catalog/src/backup/salvage.ts',
    sound: 'header.series === (series ?? header.series)',
    broken: 'header.series !== -1',
    tests: { path: `${TESTS}/salvage`, name: 'of an older file' },
  },
  {
    name: 'a generation is copied from a damaged backup',
    file: 'packages/catalog/src/backup/backup.ts',
    sound: 'return await openProven(files, { path, token, generation }, signal);',
    broken: 'return await openBackupFile(files, { path, token, generation });',
    tests: {
      path: 'packages/catalog/test/backup/renew',
      name: 'without a whole file of that generation',
    },
  },
];
