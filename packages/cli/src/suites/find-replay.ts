import { existsSync, readFileSync, readdirSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import { propertyOf } from '@holdfast/foundation';
import { CommandUsageError } from '../errors.ts';

/** What a report says of one scenario or test, as far as it is needed to run it again. */
export interface ReplayTarget {
  readonly name: string;
  readonly family: string;
  /** Of the test, relative to the root of the run. */
  readonly file: string | undefined;
  /** Of the test; a scenario has the name of its test or a part of it. */
  readonly test: string | undefined;
  readonly seed: number | undefined;
  readonly stage: string | undefined;
}

/** The part of a `run.json` that is read. */
interface ReadReport {
  readonly scenarios: readonly Readonly<Record<string, unknown>>[];
  readonly tests: readonly Readonly<Record<string, unknown>>[];
}

const REPORTS = 'reports';
const RUN_FILE = 'run.json';
const MAX_NAMED = 5;

/**
 * The newest report below `reports`.
 * @throws CommandUsageError
 */
export function newestReport(folder: string): string {
  const root = join(folder, REPORTS);
  const folders = existsSync(root) ? ['.', ...readdirSync(root)] : [];
  const [newest] = folders
    .map((name) => join(root, name, RUN_FILE))
    .filter((path) => existsSync(path) && readReport(path).scenarios.length > 0)
    .toSorted((a, b) => statSync(b).mtimeMs - statSync(a).mtimeMs);
  if (newest !== undefined) return newest;
  throw new CommandUsageError(
    `no report with scenarios is in ${root}`,
    `Run the suites first, with 'holdfast run', or name a run.json with --report.`,
  );
}

/**
 * Finds what a word means in a report: `3` is its third scenario or the one of seed 3, anything else is a part of a name.
 * @throws CommandUsageError
 */
export function findReplay(path: string, word: string): ReplayTarget {
  const report = readReport(path);
  const number = /^\d+$/u.test(word) ? Number(word) : undefined;
  const row = number === undefined ? undefined : report.scenarios[number - 1];
  const seeded = report.scenarios.filter(({ seed }) => number !== undefined && seed === number);
  const numbered = new Set(row === undefined ? seeded : [...seeded, row]);
  const found =
    number === undefined
      ? namedIn(report, word)
      : [...numbered].map((each) => targetOf(report, each));
  const [only] = found;
  if (found.length === 1 && only !== undefined) return only;
  const count = report.scenarios.length;
  if (only === undefined) {
    throw new CommandUsageError(
      `'${word}' is no row, seed or name in ${relative('', path) || path}`,
      `It has ${count} scenarios: give a row from 1 to ${count} as in the report, a seed or a part of a name; ` +
        `--report names another run.json.`,
    );
  }
  const names = found.slice(0, MAX_NAMED).map(({ family, name }) => `'${family}: ${name}'`);
  throw new CommandUsageError(
    `'${word}' means ${found.length} scenarios: ${names.join(', ')}${found.length > MAX_NAMED ? ', …' : ''}`,
    'Give more of the name.',
  );
}

/** The scenarios of a name; without one the tests, for one that failed may not have recorded anything. */
function namedIn(report: ReadReport, word: string): ReplayTarget[] {
  const wanted = word.toLowerCase();
  const isNamed = (text: string): boolean => text.toLowerCase().includes(wanted);
  const scenarios = report.scenarios.filter(({ family, scenario }) =>
    isNamed(`${String(family)}: ${String(scenario)}`),
  );
  const exact = scenarios.filter(({ scenario }) => String(scenario).toLowerCase() === wanted);
  const matching = exact.length > 0 ? exact : scenarios;
  if (matching.length > 0) return matching.map((each) => targetOf(report, each));
  return report.tests
    .filter(({ name }) => isNamed(String(name)))
    .map(({ name, file }) => ({
      name: String(name),
      family: familyOf(String(file)),
      file: String(file),
      test: String(name),
      seed: undefined,
      stage: undefined,
    }));
}

/** A scenario has the name of its test or a part of it; its test is in the folder of its family. */
function targetOf(report: ReadReport, row: Readonly<Record<string, unknown>>): ReplayTarget {
  const [family, name] = [String(row['family']), String(row['scenario'])];
  const candidates = report.tests.filter((each) => String(each['name']).includes(name));
  const test = candidates.find(({ file }) => familyOf(String(file)) === family) ?? candidates[0];
  return {
    name,
    family,
    file: test && String(test['file']),
    test: test && String(test['name']),
    seed: typeof row['seed'] === 'number' ? row['seed'] : undefined,
    stage: typeof row['stage'] === 'string' ? row['stage'] : undefined,
  };
}

function familyOf(file: string): string {
  return /(?:^|\/)test\/([^/]+)\//u.exec(file)?.[1] ?? file;
}

function readReport(path: string): ReadReport {
  const listOf = (value: unknown): ReadReport['tests'] => (Array.isArray(value) ? value : []);
  try {
    const run: unknown = JSON.parse(readFileSync(path, 'utf8'));
    return {
      scenarios: listOf(propertyOf(run, 'scenarios')),
      tests: listOf(propertyOf(run, 'tests')),
    };
  } catch (error) {
    throw new CommandUsageError(
      `${path} is no report: ${error instanceof Error ? error.message : String(error)}`,
      `A report is the run.json that a run writes, such as reports/infrastructure/run.json.`,
    );
  }
}
