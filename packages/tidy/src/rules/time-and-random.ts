import {
  type Violation,
  type Repository,
  type RepositoryFile,
  matchesIn,
  violationAt,
} from '../repository.ts';
import { bracketed, importsOf } from '../source-text.ts';

/** The doors: what lets time and chance in, so that everything else can be given a fake. */
const doors = new Set(['packages/foundation/src/clock.ts', 'packages/foundation/src/random.ts']);

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

/** Where the servers are real, a real deadline may guard a wait. */
const deadline = /\bAbortSignal\.timeout\b/g;

/** A package's code reads time and chance only through the doors. */
export function timeAndRandomHaveOneDoor(repository: Repository): Violation[] {
  return repository.files
    .filter(({ path }) => /^packages\/[^/]+\/src\/.*\.ts$/.test(path) && !doors.has(path))
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

/** A test awaits a condition or moves a fake clock; it never waits a fixed time. */
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

/** `setTimeout` whose delay is written down; one computed from a deadline may guard a wait. */
function fixedTimers(file: RepositoryFile): Violation[] {
  const calls = file.code.matchAll(/(?<![\w$.]|globalThis\.)(?:globalThis\.)?setTimeout\s*\(/g);
  return [...calls].flatMap(({ index, 0: opening }) => {
    const call = bracketed(file.code, index + opening.length - 1);
    if (!/,\s*[\d_.]+(?:\s*\*\s*[\d_.]+)*\s*,?\s*\)$/.test(call)) return [];
    return [violationAt(file, index, 'await a condition instead of a fixed setTimeout')];
  });
}

const ENVIRONMENT = 'packages/foundation/src/environment.ts';

/** The environment of the process comes in by one door, so that a test can give another one. */
export function environmentHasOneDoor({ files }: Repository): Violation[] {
  return files
    .filter(({ path }) => /^packages\/[^/]+\/src\/.*\.ts$/.test(path) && path !== ENVIRONMENT)
    .flatMap((file) =>
      matchesIn(file, /\bprocess\.env\b/g, 'take `environment` of @holdfast/foundation'),
    );
}
