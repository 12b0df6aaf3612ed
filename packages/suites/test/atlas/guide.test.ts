import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { compilePrograms, guidePrograms } from '../../src/atlas/guide-programs.ts';

const root = join(import.meta.dirname, '../../../..');
const folder = join(root, 'packages/suites/.guide');
const guide = readFileSync(join(root, 'fixtures/boundaries/integration-points.md'), 'utf8');
const COMPILE_MS = 120_000;

test(
  'every block of the four integration points compiles against the packages as it is written',
  () => {
    const programs = guidePrograms(guide);
    expect(programs).toHaveLength(7);
    expect(
      programs.filter((code) => code.includes("from '@holdfast/resilience';\n\nclass")),
    ).toHaveLength(4);
    expect(compilePrograms(root, folder, programs)).toEqual([]);
  },
  COMPILE_MS,
);

test(
  'a block with an option that does not exist does not compile',
  () => {
    const programs = guidePrograms(guide.replace('failureThreshold: 10,', 'failureTreshold: 10,'));
    expect(compilePrograms(root, folder, programs).join('\n')).toContain('failureTreshold');
  },
  COMPILE_MS,
);
