import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { matrixOf, nodeVersions, suiteFamilies } from './matrix.ts';

const root = join(import.meta.dirname, '../../..');
const families = suiteFamilies(root);

function read(path: string): string {
  return readFileSync(join(root, path), 'utf8');
}

test('the matrix has every family of the suites once on each stage and Node', () => {
  const { include } = matrixOf(families);
  expect(include).toHaveLength(families.length * nodeVersions.length * 2);
  expect(new Set(include.map((job) => JSON.stringify(job))).size).toBe(include.length);
  // More jobs than that GitHub refuses.
  expect(include.length).toBeLessThanOrEqual(256);
});

test('the workflow takes the matrix from there, and checks on the same versions of Node', () => {
  expect(parse(read('.github/workflows/ci.yml'))).toMatchObject({
    jobs: {
      plan: {
        steps: expect.arrayContaining([
          expect.objectContaining({
            run: 'node packages/suites/ci/matrix-main.ts >> "$GITHUB_OUTPUT"',
          }),
        ]),
      },
      check: { strategy: { matrix: { node: nodeVersions } } },
      infrastructure: {
        needs: 'plan',
        strategy: { matrix: '${{ fromJSON(needs.plan.outputs.matrix) }}' },
      },
    },
  });
});

test('the README of the suites has a row for each family, and the nightly storms are of families', () => {
  const rows = read('packages/suites/README.md').matchAll(/^\| `([\w-]+)` +\|/gm);
  expect(new Set([...rows].map(([, name]) => name))).toEqual(new Set(families));
  const nightly = parse(read('.github/workflows/nightly.yml'));
  expect(families).toEqual(expect.arrayContaining(nightly.jobs.storm.strategy.matrix.family));
});
