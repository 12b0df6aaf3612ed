import { readFileSync } from 'node:fs';
import {
  InvalidOptionError,
  type OptionRule,
  boolean,
  integer,
  parseOptions,
  propertyOf,
} from '@holdfast/foundation';
import { RunNotReadableError } from '../errors.ts';
import type { RunReport, ScenarioRecord, TestRecord } from '../report.ts';
import { parseScenario } from '../scenario.ts';

const NEWEST = 2;
const count = integer({ min: 0, max: Number.MAX_SAFE_INTEGER });
const totalsShape = { passed: count, failed: count, skipped: count };
const interruptedRule: OptionRule<boolean> = boolean(false);

/**
 * Reads a `run.json` of this or an earlier version of the format. Fields that an earlier version lacks are absent,
 * or empty where they are required.
 * @throws RunNotReadableError when it is missing, damaged, or of a later version
 */
export function readRun(path: string): RunReport {
  try {
    return parseRun(JSON.parse(readFileSync(path, 'utf8')));
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new RunNotReadableError(`${path} could not be read as a run: ${reason}`, {
      cause: error,
    });
  }
}

function parseRun(given: unknown): RunReport {
  const version = propertyOf(given, 'version') ?? 1;
  if (typeof version !== 'number' || version > NEWEST) {
    throw new InvalidOptionError(
      'readRun',
      'version',
      version,
      `a version up to ${NEWEST}; a newer @holdfast/report reads this run`,
    );
  }
  const source: Partial<RunReport> = typeof given === 'object' && given !== null ? given : {};
  const interrupted = interruptedRule.parse(source.interrupted ?? false, 'interrupted', 'readRun');
  return {
    ...source,
    version: NEWEST,
    startedAt: source.startedAt ?? new Date(0).toISOString(),
    durationMs: source.durationMs ?? 0,
    node: source.node ?? 'unknown',
    interrupted,
    totals: parseOptions('readRun', totalsShape, source.totals, 'totals'),
    unreadableRecords: source.unreadableRecords ?? 0,
    scenarios: scenariosOf(source.scenarios),
    tests: testsOf(source.tests),
  };
}

function scenariosOf(given: unknown): ScenarioRecord[] {
  if (given === undefined) return [];
  if (!Array.isArray(given)) throw invalid('scenarios', given, 'an array');
  return given.map((each: unknown) => parseScenario('readRun', each));
}

function testsOf(given: readonly TestRecord[] | undefined): readonly TestRecord[] {
  if (given === undefined) return [];
  if (!Array.isArray(given)) throw invalid('tests', given, 'an array');
  const wrong = given.findIndex(
    ({ file, name, status }) =>
      typeof file !== 'string' ||
      typeof name !== 'string' ||
      !['passed', 'failed', 'skipped'].includes(status),
  );
  if (wrong !== -1) throw invalid(`tests.${wrong}`, given[wrong], 'a test with file, name, status');
  return given;
}

function invalid(field: string, value: unknown, permitted: string): InvalidOptionError {
  return new InvalidOptionError('readRun', field, value, permitted);
}
