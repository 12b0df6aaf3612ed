/**
 * Mutation tests: makes one small fault after the other in a copy of the package and counts how many make some
 * test fail. `node packages/resilience/mutation/run.ts [target] [mutants]`; exits with 1 when the score of a target
 * is below 90 %. With a number it tries only that many mutants of a target, always the same ones.
 */
import { execFile } from 'node:child_process';
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { seededRandom } from '@holdfast/foundation';
import { type Mutant, applyTo, mutantsOf } from './mutants.ts';
import { type Target, harmless, targets } from './targets.ts';

/** A mutant whose tests take longer than this hangs, and counts as noticed. */
const TESTS_TIMEOUT_MS = 120_000;
const TEST_TIMEOUT_MS = 30_000;
const BAR = 0.9;
const SAMPLE_SEED = 20_261_122;

const packageRoot = resolve(import.meta.dirname, '..');
const repositoryRoot = resolve(packageRoot, '../..');

/** A copy of the package, so that no mutant is ever in the working tree. */
async function copyPackage(): Promise<string> {
  const copy = await mkdtemp(join(tmpdir(), 'holdfast-mutation-'));
  for (const part of ['src', 'test', 'package.json']) {
    await cp(join(packageRoot, part), join(copy, part), { recursive: true });
  }
  await symlink(join(repositoryRoot, 'node_modules'), join(copy, 'node_modules'));
  const config = {
    rootDir: copy,
    extensionsToTreatAsEsm: ['.ts'],
    transform: {},
    testTimeout: TEST_TIMEOUT_MS,
  };
  await writeFile(join(copy, 'jest.config.json'), JSON.stringify(config));
  return copy;
}

/** Whether every test passes. */
function passes(copy: string, tests: string): Promise<boolean> {
  const jest = join(repositoryRoot, 'node_modules/jest/bin/jest.js');
  const flags = ['--experimental-vm-modules', '--disable-warning=ExperimentalWarning', jest];
  const config = join(copy, 'jest.config.json');
  const args = [...flags, '--config', config, '--runInBand', '--bail', '--silent', tests];
  return new Promise((settle) => {
    execFile(
      process.execPath,
      args,
      { cwd: copy, timeout: TESTS_TIMEOUT_MS, killSignal: 'SIGKILL' },
      (error) => settle(error === null),
    );
  });
}

function isHarmless({ mutated, original }: Mutant): boolean {
  return harmless.has(mutated === '' ? `-${original.trim()}` : mutated.trim());
}

async function scoreOf(target: Target, copy: string): Promise<number> {
  if (!(await passes(copy, target.tests)))
    throw new Error(`${target.name}: its tests fail without a mutant`);
  const all = await mutantsIn(target, copy);
  const tried = wantedCount < all.length ? sample(all, wantedCount) : all;
  let noticed = 0;
  for (const { name, path, source, mutant } of tried) {
    await writeFile(path, applyTo(source, mutant));
    if (await passes(copy, target.tests)) {
      const { lineNumber, original, mutated } = mutant;
      const change = mutated === '' ? 'deleted' : mutated.trim();
      process.stdout.write(`unnoticed: ${name}:${lineNumber}\n  ${original.trim()}\n  ${change}\n`);
    } else {
      noticed += 1;
    }
    await writeFile(path, source);
  }
  const score = noticed / tried.length;
  process.stdout.write(
    `${target.name}: ${noticed} of ${tried.length} noticed (there are ${all.length}), ${(score * 100).toFixed(1)} %\n`,
  );
  return score;
}

interface Candidate {
  readonly name: string;
  readonly path: string;
  readonly source: string;
  readonly mutant: Mutant;
}

async function mutantsIn(target: Target, copy: string): Promise<Candidate[]> {
  const found: Candidate[] = [];
  for (const name of target.sources) {
    const path = join(copy, 'src', name);
    const source = await readFile(path, 'utf8');
    for (const mutant of mutantsOf(source)) {
      if (!isHarmless(mutant)) found.push({ name, path, source, mutant });
    }
  }
  return found;
}

function sample(candidates: readonly Candidate[], count: number): Candidate[] {
  const random = seededRandom(SAMPLE_SEED);
  return candidates
    .map((candidate) => ({ candidate, drawn: random() }))
    .toSorted((left, right) => left.drawn - right.drawn)
    .slice(0, count)
    .map(({ candidate }) => candidate);
}

const [, , wanted, mutants] = process.argv;
const wantedCount = mutants === undefined ? Infinity : Number(mutants);
const chosen = targets.filter(({ name }) => wanted === undefined || name === wanted);
const copy = await copyPackage();
try {
  for (const target of chosen) {
    if ((await scoreOf(target, copy)) < BAR) process.exitCode = 1;
  }
} finally {
  await rm(copy, { recursive: true, force: true });
}
