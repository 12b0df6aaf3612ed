import {
  type Violation,
  type Repository,
  type RepositoryFile,
  matchesIn,
  violationAt,
} from '../repository.ts';
import { bracketed, importsOf } from '../source-text.ts';

/** The only files that read the clock and random numbers, so that all other code can use fakes. */
const clockFiles = new Set([
  'packages/foundation/src/timers/system-clock.ts',
  'packages/foundation/src/timers/timer-host.ts',
  'packages/foundation/src/random.ts',
]);

const apart = String.raw`(?<![\w$.])`;
const global = String.raw`(?<![\w$.]|globalThis\.)(?:globalThis\.)?`;
const readings: readonly (readonly [RegExp, string])[] = [
  [new RegExp(String.raw`${global}Date\.now\b`, 'g'), 'take a Clock instead of Date.now'],
  [new RegExp(String.raw`${apart}new Date\s*\(\s*\)`, 'g'), 'take a Clock instead of new Date()'],
  [new RegExp(String.raw`\bperformance\.now\b`, 'g'), 'take a Clock instead of performance.now'],
  [new RegExp(String.raw`\bprocess\.hrtime\b`, 'g'), 'take a Clock instead of process.hrtime'],
  [new RegExp(String.raw`${global}setTimeout\b`, 'g'), 'take a Clock instead of setTimeout'],
  [new RegExp(String.raw`${global}setInterval\b`, 'g'), 'take a Clock instead of setInterval'],
  [new RegExp(String.raw`\bMath\.random\b`, 'g'), 'take a Random instead of Math.random'],
];

/** A real deadline may guard a wait on a real server. */
const deadline = /\bAbortSignal\.timeout\b/g;

/** The code of a package takes time and random numbers only from `Clock` and `Random`. */
export function timeAndRandomHaveOneDoor(repository: Repository): Violation[] {
  return repository.files
    .filter(({ path }) => /^packages\/[^/]+\/src\/.*\.ts$/.test(path) && !clockFiles.has(path))
    .flatMap((file) => {
      const isSuite = file.path.startsWith('packages/suites/');
      const found = readings.flatMap(([pattern, advice]) => matchesIn(file, pattern, advice));
      if (!isSuite)
        found.push(...matchesIn(file, deadline, 'take a Clock instead of AbortSignal.timeout'));
      const known = new Set(found.map(({ line }) => line));
      const imports = timerImports(file, 'take a Clock instead of a timer of node:timers');
      return found.concat(imports.filter(({ line }) => !known.has(line)));
    });
}

/** A test awaits a condition or advances a fake clock; it never waits for a fixed time. */
export function testsDoNotSleep(repository: Repository): Violation[] {
  return repository.files
    .filter(({ path }) => /^packages\/(?:[^/]+\/test|suites)\/.*\.ts$/.test(path))
    .flatMap((file) =>
      timerImports(file, 'await a condition instead of a timer of node:timers').concat(
        fixedTimers(file),
        matchesIn(file, /\bsleep\s*\(\s*systemClock\s*,\s*\d/g, 'await a condition, do not sleep'),
      ),
    );
}

function timerImports(file: RepositoryFile, message: string): Violation[] {
  return importsOf(file.text, file.code).flatMap(({ specifier, index }) => {
    if (!/^(?:node:)?timers(?:\/promises)?$/.test(specifier)) return [];
    const clause = file.code.slice(file.code.lastIndexOf('import', index), index);
    const isHarmless = /^import\s*(?:type\s*)?\{[^}]*\}\s*$/.test(clause) && !takesTimer(clause);
    return isHarmless ? [] : [violationAt(file, index, message)];
  });
}

function takesTimer(clause: string): boolean {
  return /\b(?:setTimeout|setInterval|scheduler)\b/.test(clause);
}

/** Finds `setTimeout` with a literal delay; a delay computed from a deadline may guard a wait. */
function fixedTimers(file: RepositoryFile): Violation[] {
  const calls = file.code.matchAll(/(?<![\w$.]|globalThis\.)(?:globalThis\.)?setTimeout\s*\(/g);
  return [...calls].flatMap(({ index, 0: opening }) => {
    const call = bracketed(file.code, index + opening.length - 1);
    if (!/,\s*[\d_.]+(?:\s*\*\s*[\d_.]+)*\s*,?\s*\)$/.test(call)) return [];
    return [violationAt(file, index, 'await a condition instead of a fixed setTimeout')];
  });
}

const READS_ENVIRONMENT = new Set([
  'packages/foundation/src/environment.ts',
  // Nothing of tidy imports the packages that it judges.
  'packages/tidy/src/coverage/coverage-main.ts',
]);

/** Only one file reads the environment of the process, so that a test can replace it. */
export function environmentHasOneDoor({ files }: Repository): Violation[] {
  return files
    .filter(
      ({ path }) => /^packages\/[^/]+\/src\/.*\.ts$/.test(path) && !READS_ENVIRONMENT.has(path),
    )
    .flatMap((file) =>
      matchesIn(file, /\bprocess\.env\b/g, 'take `environment` of @holdfast/foundation'),
    );
}
