/**
 * Proves that the suites can fail: plants one bug after the other in a copy of the workspace and runs the tests
 * that have to detect it. `node packages/suites/planted/plant.ts [part of a bug's name]`
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
import { type PlantedBug, plantedBugs } from './bugs.ts';

const root = join(import.meta.dirname, '../../..');
/** How many copies of the workspace are used concurrently: most tests wait more than they compute. */
const COPIES = 2;
/** A bug that makes a test hang counts as detected: a passing test is much faster. */
const TEST_WITHIN_MS = 45_000;
const RUN_WITHIN_MS = 180_000;
const COPIED = ['packages', 'jest.config.ts', 'package.json', 'pnpm-workspace.yaml'];
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

const pattern = process.argv.slice(2).join(' ');
const chosen = plantedBugs.filter(({ name }) => name.includes(pattern));
const judges = [...new Map(chosen.map((bug) => [JSON.stringify(bug.tests), bug])).values()];
const folders: string[] = [];
const copies: string[] = [];
let unnoticed = 0;
try {
  for (let made = 0; made < COPIES; made += 1) {
    const folder = mkdtempSync(join(tmpdir(), 'holdfast-planted-'));
    folders.push(folder);
    copies.push(copyWorkspace(folder));
  }
  await inCopies(
    judges.map((bug) => async (copy) => {
      if (await passes(copy, bug)) return;
      throw new Error(`the tests at ${bug.tests.path} fail without a planted bug`);
    }),
  );
  await inCopies(
    chosen.map((bug) => async (copy) => {
      const noticed = await isNoticed(copy, bug);
      if (!noticed) unnoticed += 1;
      process.stdout.write(`${noticed ? 'noticed  ' : 'UNNOTICED'}  ${bug.name}\n`);
    }),
  );
} finally {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
}
const totals = { passed: chosen.length - unnoticed, failed: unnoticed, skipped: 0 };
const report = join(root, 'reports/planted');
mkdirSync(report, { recursive: true });
writeFileSync(join(report, 'run.json'), `${JSON.stringify({ totals })}\n`);
process.stdout.write(`${totals.passed} passed, ${totals.failed} failed\n`);
process.exitCode = unnoticed === 0 && chosen.length > 0 ? 0 : 1;
