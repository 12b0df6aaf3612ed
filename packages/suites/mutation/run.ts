/**
 * Mutation tests: makes one small fault after the other in a copy of a package and counts how many make some
 * test fail. `node packages/suites/mutation/run.ts [target] [mutants] [seed] [--publish]`; exits with 1 when the score
 * of a target is below 85 %. With a number it tries only that many mutants of a target; the seed chooses which ones.
 */
import { rmSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { seededRandom } from '@holdfast/foundation';
import { type Mutant, applyTo, mutantsOf } from './mutants.ts';
import { type Outcome, endGroupsAtExit, runInGroup } from './process-group.ts';
import { publish } from './publish.ts';
import { type Target, harmless, targets } from './targets.ts';

/** The tests without a mutant have to end within this. */
const SOUND_WITHIN_MS = 300_000;
/** A mutant whose tests take this many times as long as without it hangs, and counts as noticed. */
const HUNG_FACTOR = 2;
const LEAST_LIMIT_MS = 40_000;
const TEST_TIMEOUT_MS = 20_000;
const BAR = 0.85;
const DEFAULT_SEED = 20_261_122;

const repositoryRoot = resolve(import.meta.dirname, '../../..');

/** A copy of the package, so that no mutant is ever in the working tree. */
async function copyPackage(name: string): Promise<string> {
  const packageRoot = join(repositoryRoot, 'packages', name);
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
    testSequencer: join(import.meta.dirname, 'shortest-first.ts'),
    reporters: [join(import.meta.dirname, 'first-failure.ts')],
  };
  await writeFile(join(copy, 'jest.config.json'), JSON.stringify(config));
  return copy;
}

/** Runs the tests, whose temporary files are removed with the copy. */
async function runTests(copy: string, tests: string, withinMs: number): Promise<Outcome> {
  const jest = join(repositoryRoot, 'node_modules/jest/bin/jest.js');
  const flags = ['--experimental-vm-modules', '--disable-warning=ExperimentalWarning', jest];
  const config = join(copy, 'jest.config.json');
  const args = [...flags, '--config', config, '--runInBand', '--bail', '--silent', tests];
  const temporary = join(copy, 'tmp');
  await mkdir(temporary, { recursive: true });
  // A race that costs many processes is run once.
  const env = { ...process.env, TMPDIR: temporary, HOLDFAST_RACES: '1' };
  try {
    return await runInGroup(args, { cwd: copy, env, withinMs });
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
}

function isHarmless({ mutated, original }: Mutant): boolean {
  return harmless.has(mutated === '' ? `-${original.trim()}` : mutated.trim());
}

async function scoreOf(target: Target, copy: string): Promise<number> {
  const startMs = performance.now();
  const sound = await runTests(copy, target.tests, SOUND_WITHIN_MS);
  if (sound !== 'passed') throw new Error(`${target.name}: without a mutant its tests ${sound}`);
  const withinMs = Math.max(LEAST_LIMIT_MS, (performance.now() - startMs) * HUNG_FACTOR);
  const all = await mutantsIn(target, copy);
  const tried = wantedCount < all.length ? sample(all, wantedCount) : all;
  const survivors: string[] = [];
  let hung = 0;
  const seconds = ((performance.now() - startMs) / 1_000).toFixed(1);
  process.stdout.write(`${target.name}: ${all.length} mutants, ${seconds} s without one\n`);
  for (const [at, { name, path, source, mutant }] of tried.entries()) {
    await writeFile(path, applyTo(source, mutant));
    const outcome = await runTests(copy, target.tests, withinMs);
    if (outcome === 'passed') {
      const { lineNumber, original, mutated } = mutant;
      const change = mutated === '' ? 'deleted' : mutated.trim();
      survivors.push(`${name}:${lineNumber}`);
      process.stdout.write(
        `unnoticed (${at + 1}): ${name}:${lineNumber}\n  ${original.trim()}\n  ${change}\n`,
      );
    }
    if (outcome === 'hung') hung += 1;
    await writeFile(path, source);
  }
  const noticed = tried.length - survivors.length;
  const score = noticed / tried.length;
  process.stdout.write(
    `${target.name}: ${noticed} of ${tried.length} noticed, ${hung} of them at the limit (there are ${all.length}, seed ${seed}), ${(score * 100).toFixed(1)} %\n`,
  );
  const counts = { all: all.length, tried: tried.length, noticed };
  if (flags.has('--publish')) await publish({ target: target.name, seed, ...counts, survivors });
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
  const random = seededRandom(seed);
  return candidates
    .map((candidate) => ({ candidate, drawn: random() }))
    .toSorted((left, right) => left.drawn - right.drawn)
    .slice(0, count)
    .map(({ candidate }) => candidate);
}

const given = process.argv.slice(2);
const flags = new Set(given.filter((each) => each.startsWith('--')));
const [wanted, mutants, givenSeed] = given.filter((each) => !flags.has(each));
const wantedCount = mutants === undefined ? Infinity : Number(mutants);
const seed = givenSeed === undefined ? DEFAULT_SEED : Number(givenSeed);
const chosen = targets.filter(({ name }) => wanted === undefined || name === wanted);
endGroupsAtExit();
for (const target of chosen) {
  const copy = await copyPackage(target.package);
  const removeCopy = (): void => rmSync(copy, { recursive: true, force: true });
  process.once('exit', removeCopy);
  try {
    if ((await scoreOf(target, copy)) < BAR) process.exitCode = 1;
  } finally {
    process.off('exit', removeCopy);
    removeCopy();
  }
}
