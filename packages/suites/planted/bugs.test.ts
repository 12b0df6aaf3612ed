import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { plantedBugs } from './bugs.ts';

const root = join(import.meta.dirname, '../../..');

test.each(plantedBugs.map((bug) => [bug.name, bug] as const))(
  'the code that "%s" changes occurs once in its file',
  (_, { file, sound }) => {
    const text = readFileSync(join(root, file), 'utf8');
    expect(text.split(sound)).toHaveLength(2);
  },
);
