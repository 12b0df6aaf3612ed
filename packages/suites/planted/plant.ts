/**
 * Proves that the suites can fail: plants one bug after the other in a copy of the workspace and runs the
 * tests that have to notice it. `node packages/suites/planted/plant.ts [words of a bug's name]`
 */
import { spawnSync } from 'node:child_process';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, sep } from 'node:path';
import { type PlantedBug, plantedBugs } from './bugs.ts';

const root = join(import.meta.dirname, '../../..');
/** A bug that makes a suite hang is noticed as well: no test that passes takes nearly so long. */
const TEST_WITHIN_MS = 45_000;
const RUN_WITHIN_MS = 180_000;
const COPIED = ['packages', 'jest.config.ts', 'package.json', 'pnpm-workspace.yaml'];
const LEFT_OUT = new Set(['dist', 'reports']);

function copyWorkspace(): string {
  const copy = mkdtempSync(join(tmpdir(), 'holdfast-planted-'));
  for (const entry of COPIED) {
    cpSync(join(root, entry), join(copy, entry), {
      recursive: true,
      verbatimSymlinks: true,
      filter: (path) => !LEFT_OUT.has(path.split(sep).at(-1) ?? ''),
    });
  }
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'));
  return copy;
}

/** Whether the tests noticed the bug; they have to pass without it, or the answer means nothing. */
function isNoticed(copy: string, bug: PlantedBug): boolean {
  const path = join(copy, bug.file);
  const sound = readFileSync(path, 'utf8');
  if (sound.split(bug.sound).length !== 2) {
    throw new Error(
      `${bug.file} does not hold exactly one "${bug.sound}"; bring ${bug.name} up to date`,
    );
  }
  writeFileSync(
    path,
    sound.replace(bug.sound, () => bug.broken),
  );
  try {
    return runTests(copy, bug) !== 0;
  } finally {
    writeFileSync(path, sound);
  }
}

function runTests(copy: string, { tests }: PlantedBug): number {
  const jest = join(copy, 'node_modules/jest/bin/jest.js');
  const args = ['--experimental-vm-modules', '--disable-warning=ExperimentalWarning', jest];
  const limits = ['--testTimeout', String(TEST_WITHIN_MS)];
  const { status } = spawnSync(
    process.execPath,
    [
      ...args,
      ...limits,
      '--runInBand',
      '--forceExit',
      '--testPathPatterns',
      tests.path,
      '-t',
      tests.name,
    ],
    { cwd: copy, timeout: RUN_WITHIN_MS, stdio: 'ignore' },
  );
  return status ?? 1;
}

const words = process.argv.slice(2).join(' ');
const chosen = plantedBugs.filter(({ name }) => name.includes(words));
const copy = copyWorkspace();
let unnoticed = 0;
try {
  for (const bug of new Map(chosen.map((each) => [JSON.stringify(each.tests), each])).values()) {
    if (runTests(copy, bug) === 0) continue;
    throw new Error(`the tests at ${bug.tests.path} are red without any planted bug`);
  }
  for (const bug of chosen) {
    const noticed = isNoticed(copy, bug);
    if (!noticed) unnoticed += 1;
    process.stdout.write(`${noticed ? 'noticed  ' : 'UNNOTICED'}  ${bug.name}\n`);
  }
} finally {
  rmSync(copy, { recursive: true, force: true });
}
const totals = { passed: chosen.length - unnoticed, failed: unnoticed, skipped: 0 };
const report = join(root, 'reports/planted');
mkdirSync(report, { recursive: true });
writeFileSync(join(report, 'run.json'), `${JSON.stringify({ totals })}\n`);
process.stdout.write(`${totals.passed} passed, ${totals.failed} failed\n`);
process.exitCode = unnoticed === 0 && chosen.length > 0 ? 0 : 1;
