import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { plantedBugs } from './bugs.ts';
import { packageOf, sampleOf } from './sample.ts';

const root = join(import.meta.dirname, '../../..');

test.each(plantedBugs.map((bug) => [bug.name, bug] as const))(
  'the code that "%s" changes occurs once in its file',
  (_, { file, sound }) => {
    const text = readFileSync(join(root, file), 'utf8');
    expect(text.split(sound)).toHaveLength(2);
  },
);

/** What proves, and does not ship. */
const PROVING = new Set(['suites', 'tidy', 'site']);

test('every package has three bugs, and every bug a name of its own', () => {
  const packages = readdirSync(join(root, 'packages'));
  for (const name of packages.filter((each) => !PROVING.has(each))) {
    const bugs = plantedBugs.filter((bug) => packageOf(bug) === name);
    expect({ name, isEnough: bugs.length >= 3 }).toEqual({ name, isEnough: true });
  }
  expect(new Set(plantedBugs.map(({ name }) => name)).size).toBe(plantedBugs.length);
});

test('a sample has a bug of each package, and is the same for the same seed', () => {
  const packages = new Set(plantedBugs.map(packageOf));
  const sample = sampleOf(plantedBugs, 40, 'a commit');
  expect(sample).toHaveLength(40);
  expect(new Set(sample.map(packageOf))).toEqual(packages);
  expect(sampleOf(plantedBugs, 40, 'a commit')).toEqual(sample);
  expect(sampleOf(plantedBugs, 40, 'the next commit')).not.toEqual(sample);
  expect(sampleOf(plantedBugs, 10_000, 'a commit')).toEqual(plantedBugs);
});

test('the samples of a month plant most of the bugs', () => {
  const days = Array.from({ length: 30 }, (_, day) => `2026-11-${day + 1}`);
  const planted = new Set(days.flatMap((day) => sampleOf(plantedBugs, 40, day)));
  expect(planted.size).toBeGreaterThan(0.9 * plantedBugs.length);
});
