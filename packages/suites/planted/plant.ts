/**
 * Proves that the suites can fail: plants one bug after the other in a copy of the workspace and runs the tests
 * that have to detect it.
 *
 *   node packages/suites/planted/plant.ts [--tests-passed] [--sample N [--seed S]] [part of a bug's name]
 *
 * `--sample` plants only N of them, at least one of each package while N is enough for that; the seed chooses which
 * ones, and is the day (UTC) if not given. What was chosen is printed with the command that chooses the same again.
 *
 * A test that fails shows something only if it passes without the bug, so that all are run without one first;
 * `--tests-passed` says that they have just been run.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
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
import { parseArgs } from 'node:util';
import { plantedBugs } from './bugs.ts';
import { systemClock } from '@holdfast/foundation';
import type { PlantedBug } from './planted-bug.ts';
import { sampleOf } from './sample.ts';

const root = join(import.meta.dirname, '../../..');
/** How many copies of the workspace are used concurrently: most tests wait more than they compute. */
const COPIES = 3;
/** A bug that makes a test hang counts as detected: a passing test is much faster. */
const TEST_WITHIN_MS = 45_000;
const RUN_WITHIN_MS = 180_000;
/** Of a bug that was missed: it may strike by chance. */
const MORE_TRIES = 4;
const COPIED = [
  'packages',
  'docs',
  'fixtures',
  'docker-compose.test.yml',
  'jest.config.ts',
  'package.json',
  'pnpm-workspace.yaml',
  'run.mjs',
];
const LEFT_OUT = new Set(['dist', 'reports']);

/** Copies the workspace into a folder; removing the folder removes all temporary files of its tests as well. */
function copyWorkspace(folder: string): string {
  const copy = join(folder, 'workspace');
  for (const part of [copy, temporaryBeside(copy)]) mkdirSync(part);
  // Servers that run as another user have to pass through.
  for (const part of [folder, temporaryBeside(copy)]) chmodSync(part, 0o711);
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

function temporaryBeside(copy: string): string {
  return join(copy, '../tmp');
}

/** Whether the tests detected the bug. The answer is valid only if they pass without it. */
async function isNoticed(copy: string, bug: PlantedBug): Promise<boolean> {
  const path = join(copy, bug.file);
  const sound = readFileSync(path, 'utf8');
  if (sound.split(bug.sound).length !== 2) {
    throw new Error(
      `${bug.file} does not contain exactly one "${bug.sound}"; update the bug "${bug.name}"`,
    );
  }
  writeFileSync(
    path,
    sound.replace(bug.sound, () => bug.broken),
  );
  try {
    return !(await passes(copy, bug));
  } finally {
    writeFileSync(path, sound);
  }
}

async function isNoticedAgain(bug: PlantedBug): Promise<boolean> {
  const copy = copies[0];
  if (copy === undefined) return false;
  for (let tried = 0; tried < MORE_TRIES; tried += 1) {
    if (await isNoticed(copy, bug)) return true;
  }
  return false;
}

async function passes(copy: string, { tests }: PlantedBug): Promise<boolean> {
  const jest = join(copy, 'node_modules/jest/bin/jest.js');
  const flags = ['--experimental-vm-modules', '--disable-warning=ExperimentalWarning'];
  const limits = ['--testTimeout', String(TEST_WITHIN_MS), '--runInBand', '--forceExit'];
  const chosenTests = ['--testPathPatterns', tests.path, '-t', tests.name];
  const child = spawn(process.execPath, [...flags, jest, ...limits, ...chosenTests], {
    cwd: copy,
    env: { ...process.env, TMPDIR: temporaryBeside(copy) },
    timeout: RUN_WITHIN_MS,
    stdio: 'ignore',
  });
  const [status] = await once(child, 'exit');
  return status === 0;
}

/** Runs the tasks concurrently, one in each copy of the workspace; a task that throws stops the rest. */
async function inCopies(tasks: readonly ((copy: string) => Promise<void>)[]): Promise<void> {
  const queue = [...tasks];
  const workers = await Promise.allSettled(
    copies.map(async (copy) => {
      try {
        for (let task = queue.shift(); task !== undefined; task = queue.shift()) await task(copy);
      } finally {
        queue.length = 0;
      }
    }),
  );
  for (const worker of workers) if (worker.status === 'rejected') throw worker.reason;
}

function sampled(size: string, given: string | undefined): readonly PlantedBug[] {
  const count = Number(size);
  if (!Number.isSafeInteger(count) || count < 1) {
    throw new RangeError(`--sample is '${size}'; it is the number of bugs to plant, from 1 on`);
  }
  const seed = given ?? new Date(systemClock.epochMs()).toISOString().slice(0, '2026-11-30'.length);
  const bugs = sampleOf(matching, count, seed);
  process.stdout.write(
    `${bugs.length} of ${matching.length} bugs; the same again: ` +
      `npm run test:planted -- --sample ${count} --seed ${seed}\n`,
  );
  return bugs;
}

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    'tests-passed': { type: 'boolean', default: false },
    sample: { type: 'string' },
    seed: { type: 'string' },
  },
});
const pattern = positionals.join(' ');
const matching = plantedBugs.filter(({ name }) => name.includes(pattern));
const chosen = options.sample === undefined ? matching : sampled(options.sample, options.seed);
const judges = options['tests-passed']
  ? []
  : [...new Map(chosen.map((bug) => [JSON.stringify(bug.tests), bug])).values()];
const folders: string[] = [];
const copies: string[] = [];
const missed: PlantedBug[] = [];
const unnoticed: string[] = [];
try {
  for (let made = 0; made < COPIES; made += 1) {
    const folder = mkdtempSync(join(tmpdir(), 'holdfast-planted-'));
    folders.push(folder);
    copies.push(copyWorkspace(folder));
  }
  await inCopies(
    judges.map((bug) => async (copy) => {
      // A second time, because on a busy machine a test may be late once.
      if ((await passes(copy, bug)) || (await passes(copy, bug))) return;
      throw new Error(`the tests at ${bug.tests.path} fail without a planted bug`);
    }),
  );
  await inCopies(
    chosen.map((bug) => async (copy) => {
      if (await isNoticed(copy, bug)) process.stdout.write(`noticed    ${bug.name}\n`);
      else missed.push(bug);
    }),
  );
  // One at a time: on a busy machine a test may be late, and a bug that strikes by chance may spare a run.
  for (const bug of missed) {
    const found = await isNoticedAgain(bug);
    if (!found) unnoticed.push(bug.name);
    process.stdout.write(`${found ? 'noticed later' : 'UNNOTICED'}  ${bug.name}\n`);
  }
} finally {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
}
// Once more at the end, where a log that is cut in its middle still shows them.
for (const name of unnoticed) process.stdout.write(`UNNOTICED  ${name}\n`);
const failed = unnoticed.length;
const totals = { passed: chosen.length - failed, failed, skipped: 0 };
const report = join(root, 'reports/planted');
mkdirSync(report, { recursive: true });
writeFileSync(join(report, 'run.json'), `${JSON.stringify({ totals })}\n`);
process.stdout.write(`${totals.passed} passed, ${totals.failed} failed\n`);
process.exitCode = failed === 0 && chosen.length > 0 ? 0 : 1;
